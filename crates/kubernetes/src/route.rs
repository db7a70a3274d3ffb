//! The weights of an HTTPRoute of the Gateway API.

use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterError, Kind};

const HTTP_ROUTE: Kind = Kind {
    api_version: "gateway.networking.k8s.io/v1",
    name: "HTTPRoute",
    plural: "httproutes",
};

/// Attempts against others that write the route at the same time.
const N_ATTEMPTS: usize = 5;

/// Sends `share_pct` of what goes to the Service `stable` to the Service `canary`; 0 removes the canary from the route.
///
/// The lists of a route belong to one manager as a whole, so it is read, changed and written back under its version.
pub(crate) async fn split(
    cluster: &Cluster,
    route: &str,
    stable: &str,
    canary: &str,
    port: u16,
    share_pct: f64,
) -> Result<(), ClusterError> {
    for attempt in 1.. {
        let doing = format!("split the traffic of the HTTPRoute `{route}`");
        let Some(mut object) = cluster.get(HTTP_ROUTE, route).await? else {
            return Err(ClusterError::Refused {
                doing,
                status: 404,
                message: "there is no such HTTPRoute; `[deploy.canary] http_route` names it"
                    .to_owned(),
            });
        };
        let before = object.clone();
        if set(&mut object, stable, canary, port, share_pct) == 0 {
            return Err(ClusterError::Refused {
                doing,
                status: 404,
                message: format!("no rule of it sends requests to the Service `{stable}`"),
            });
        }
        if object == before {
            return Ok(());
        }
        match cluster.replace(HTTP_ROUTE, &object).await {
            Err(error) if error.status() == Some(409) && attempt < N_ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(_) => {
                tracing::info!("HTTPRoute `{route}`: {share_pct} % to `{canary}`");
                return Ok(());
            }
        }
    }
    unreachable!("the last attempt returns")
}

/// Sets the weights in every rule that sends requests to `stable`. Returns how many do.
fn set(route: &mut Value, stable: &str, canary: &str, port: u16, share_pct: f64) -> usize {
    let rules = route
        .pointer_mut("/spec/rules")
        .and_then(Value::as_array_mut);
    let mut n = 0;
    for rule in rules.into_iter().flatten() {
        let Some(backends) = rule.get_mut("backendRefs").and_then(Value::as_array_mut) else {
            continue;
        };
        if !backends.iter().any(|backend| backend["name"] == stable) {
            continue;
        }
        n += 1;
        backends.retain(|backend| backend["name"] != canary);
        // In thousandths, since weights are whole numbers.
        let share = (10.0 * share_pct).round() as u64;
        for backend in backends
            .iter_mut()
            .filter(|backend| backend["name"] == stable)
        {
            backend["weight"] = (1000 - share).into();
        }
        if share > 0 {
            backends.push(json!({ "name": canary, "port": port, "weight": share }));
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Value {
        json!({ "spec": { "rules": [
            { "matches": [{ "path": { "value": "/v2" } }], "backendRefs": [{ "name": "digits", "port": 80 }] },
            { "backendRefs": [{ "name": "site", "port": 80 }] },
        ] } })
    }

    #[test]
    fn weights_are_set_where_the_stable_service_is_named() {
        let mut object = route();
        assert_eq!(set(&mut object, "digits", "digits-canary", 80, 12.5), 1);
        assert_eq!(
            object["spec"]["rules"][0]["backendRefs"],
            json!([
                { "name": "digits", "port": 80, "weight": 875 },
                { "name": "digits-canary", "port": 80, "weight": 125 },
            ])
        );
        assert_eq!(object["spec"]["rules"][1], route()["spec"]["rules"][1]);
        // Again: no second one.
        assert_eq!(set(&mut object, "digits", "digits-canary", 80, 50.0), 1);
        assert_eq!(
            object["spec"]["rules"][0]["backendRefs"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        set(&mut object, "digits", "digits-canary", 80, 0.0);
        assert_eq!(
            object["spec"]["rules"][0]["backendRefs"],
            json!([{ "name": "digits", "port": 80, "weight": 1000 }])
        );
    }

    #[test]
    fn a_route_to_elsewhere_is_not_touched() {
        let mut object = route();
        assert_eq!(set(&mut object, "other", "other-canary", 80, 10.0), 0);
        assert_eq!(object, route());
    }
}
