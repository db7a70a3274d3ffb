//! The client of each scheme: that of TLS is made where an address needs it, since it reads the system's authorities.

use std::sync::OnceLock;

use reqwest::header::{AUTHORIZATION, LOCATION};
use reqwest::{Client, Method, Request, Response, Url};
use trainyard_net::{ClientError, ClientOptions, Trouble};

use super::answer::{Attempt, RequestError, failed};

/// Clients with the same options.
pub(super) struct Clients {
    options: ClientOptions,
    plain: Client,
    tls: OnceLock<Client>,
}

impl Clients {
    /// `needs_tls`: whether it is known that TLS is spoken, so that authorities which cannot be read are an error at once.
    pub(super) fn new(options: ClientOptions, needs_tls: bool) -> Result<Self, ClientError> {
        let tls = OnceLock::new();
        if needs_tls || options.ca.is_some() {
            let _ = tls.set(options.build()?);
        }
        Ok(Self {
            plain: options.build_plain()?,
            options,
            tls,
        })
    }

    /// For building a request, which [`Self::execute`] sends by the client of its scheme.
    pub(super) const fn builder(&self) -> &Client {
        &self.plain
    }

    /// Sends `request`. A redirection from a plain address to TLS is followed where it would be from anywhere else.
    pub(super) async fn execute(&self, request: Request) -> Attempt<Response> {
        if request.url().scheme() == "https" {
            return self.tls()?.execute(request).await.map_err(failed);
        }
        let is_repeatable = [Method::GET, Method::HEAD].contains(request.method());
        let again = request.try_clone().filter(|_| is_repeatable);
        let response = self.plain.execute(request).await.map_err(failed)?;
        let (Some(mut again), Some(url)) = (again, tls_address(&response)) else {
            return Ok(response);
        };
        *again.url_mut() = url;
        // The login is the registry's, and this is another server.
        again.headers_mut().remove(AUTHORIZATION);
        self.tls()?.execute(again).await.map_err(failed)
    }

    fn tls(&self) -> Attempt<&Client> {
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let client = self.options.build();
        let client = client.map_err(|error| Trouble::Permanent(RequestError::Client(error)))?;
        Ok(self.tls.get_or_init(|| client))
    }
}

/// Where the answer leads on to, if to an address with TLS.
fn tls_address(response: &Response) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let url = response.url().join(location).ok()?;
    (url.scheme() == "https").then_some(url)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use reqwest::StatusCode;

    use super::*;

    /// A server without TLS that leads every request on to a closed port of this machine, with TLS.
    fn leads_to_tls() -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let answer = "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://127.0.0.1:1/blob\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        format!("http://{address}/v2/").parse().unwrap()
    }

    #[test]
    fn a_plain_server_may_lead_a_download_on_to_tls_and_no_upload_is_repeated() {
        let url = leads_to_tls();
        let clients = Clients::new(ClientOptions::default(), false).unwrap();
        assert!(clients.tls.get().is_none());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let send = |method: Method| {
            let request = clients.builder().request(method, url.clone());
            runtime.block_on(clients.execute(request.build().unwrap()))
        };
        let answer = send(Method::POST).unwrap();
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        assert!(clients.tls.get().is_none());
        // That port is closed: the client of TLS was asked.
        assert!(send(Method::GET).is_err());
        assert!(clients.tls.get().is_some());
    }
}
