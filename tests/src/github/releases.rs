//! The releases of a repository and their files, and the rules that GitHub has for them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trainyard_core::digest::Sha256Digest;

use super::Parameters;
use super::shapes;
use super::state::{Answer, not_found, page};

/// GitHub's undocumented limit of a release's notes, in characters.
const MAX_NOTES: usize = 125_000;

/// The releases of one repository.
#[derive(Default)]
pub(super) struct Releases {
    full_name: String,
    next_id: u64,
    /// Without their assets.
    pages: BTreeMap<u64, Value>,
    /// Release and asset, by the asset's number.
    assets: BTreeMap<u64, (u64, Value, Vec<u8>)>,
    /// Where files are uploaded to.
    uploads: String,
}

fn invalid(words: &str) -> (u16, String) {
    (422, format!("Validation Failed: {words}"))
}

impl Releases {
    /// `{"releases": [{"tag", "body", "draft", "prerelease", "immutable", "assets": [{"name", "state", "text"}]}]}`.
    pub(super) fn prepare(&mut self, full_name: &str, instruction: &Value) {
        full_name.clone_into(&mut self.full_name);
        for release in instruction["releases"].as_array().into_iter().flatten() {
            let mut body = release.clone();
            body["tag_name"] = release["tag"].clone();
            let id = self.add(&body);
            if let Some(page) = self.pages.get_mut(&id) {
                page["immutable"] = json!(release["immutable"] == true);
            }
            for asset in release["assets"].as_array().into_iter().flatten() {
                let text = |key: &str| asset[key].as_str().unwrap_or_default();
                let asset_id = self.add_asset(id, text("name"), text("text").as_bytes());
                if let (Some(state), Some((_, asset, _))) =
                    (asset["state"].as_str(), self.assets.get_mut(&asset_id))
                {
                    asset["state"] = json!(state);
                }
            }
        }
    }

    /// With the text of each file.
    pub(super) fn describe(&self) -> Value {
        let pages = self.pages.keys().map(|id| {
            let mut page = self.page(*id).unwrap_or_default();
            for asset in page["assets"].as_array_mut().into_iter().flatten() {
                let bytes = asset["id"].as_u64().and_then(|id| self.assets.get(&id));
                let text = bytes.map(|(_, _, bytes)| String::from_utf8_lossy(bytes).into_owned());
                asset["text"] = json!(text);
            }
            page
        });
        pages.collect()
    }

    /// `uploads` is the address that upload URLs begin with.
    pub(super) fn answer(
        &mut self,
        (full_name, uploads): (&str, &str),
        method: &str,
        rest: &[&str],
        parameters: &Parameters,
        body: &[u8],
    ) -> Answer {
        full_name.clone_into(&mut self.full_name);
        uploads.clone_into(&mut self.uploads);
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let number = |id: &str| id.parse::<u64>().map_err(|_| not_found());
        match (method, rest) {
            ("GET", []) => {
                let all = self.pages.keys().rev().filter_map(|id| self.page(*id));
                Ok((200, page(all.collect(), parameters)))
            }
            ("POST", []) => self.create(&json),
            // A draft's tag is only a plan.
            ("GET", ["tags", tag @ ..]) => {
                let tag = tag.join("/");
                let published = |page: &&Value| page["tag_name"] == *tag && page["draft"] == false;
                let found = self.pages.values().find(published);
                let id = found.and_then(|page| page["id"].as_u64());
                let page = id.and_then(|id| self.page(id));
                page.map(|page| (200, page)).ok_or_else(not_found)
            }
            ("PATCH", ["assets", id]) => self.rename(number(id)?, &json),
            ("DELETE", ["assets", id]) => {
                let (release, _, _) = self.assets.get(&number(id)?).ok_or_else(not_found)?;
                self.check_mutable(*release)?;
                self.assets.remove(&number(id)?);
                Ok((204, Value::Null))
            }
            ("GET", [id]) => {
                let page = self.page(number(id)?);
                page.map(|page| (200, page)).ok_or_else(not_found)
            }
            ("PATCH", [id]) => self.change(number(id)?, &json),
            ("DELETE", [id]) => {
                let id = number(id)?;
                self.pages.remove(&id).ok_or_else(not_found)?;
                self.assets.retain(|_, (release, _, _)| *release != id);
                Ok((204, Value::Null))
            }
            ("GET", [id, "assets"]) => {
                let assets = self.assets_of(number(id)?);
                Ok((200, page(assets, parameters)))
            }
            ("POST", [id, "assets"]) => self.upload(number(id)?, parameters, body),
            _ => Err(not_found()),
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn add(&mut self, body: &Value) -> u64 {
        let id = self.new_id();
        let page = shapes::release(&self.full_name, id, body);
        self.pages.insert(id, page);
        id
    }

    fn add_asset(&mut self, release: u64, name: &str, bytes: &[u8]) -> u64 {
        let id = self.new_id();
        let digest = Sha256Digest::of(bytes);
        let asset = shapes::asset(&self.full_name, id, name, bytes.len(), digest.as_str());
        self.assets.insert(id, (release, asset, bytes.to_vec()));
        id
    }

    fn assets_of(&self, release: u64) -> Vec<Value> {
        let all = self.assets.values();
        all.filter(|(of, _, _)| *of == release)
            .map(|(_, asset, _)| asset.clone())
            .collect()
    }

    fn page(&self, id: u64) -> Option<Value> {
        let mut page = self.pages.get(&id)?.clone();
        let path = format!("/repos/{}/releases/{id}/assets", self.full_name);
        page["upload_url"] = json!(format!("{}{path}{{?name,label}}", self.uploads));
        page["assets"] = self.assets_of(id).into();
        Some(page)
    }

    fn create(&mut self, body: &Value) -> Answer {
        check_notes(body)?;
        if body["draft"] != true {
            self.check_tag(&body["tag_name"], None)?;
        }
        let id = self.add(body);
        let page = self.page(id).ok_or_else(not_found)?;
        Ok((201, page))
    }

    fn change(&mut self, id: u64, change: &Value) -> Answer {
        check_notes(change)?;
        let page = self.pages.get(&id).ok_or_else(not_found)?;
        if change["draft"] == false && page["draft"] == true {
            self.check_tag(&page["tag_name"].clone(), Some(id))?;
        }
        if let Some(page) = self.pages.get_mut(&id) {
            for key in ["tag_name", "name", "body", "draft", "prerelease"] {
                if let Some(value) = change.get(key) {
                    page[key] = value.clone();
                }
            }
        }
        let page = self.page(id).ok_or_else(not_found)?;
        Ok((200, page))
    }

    /// A tag has one published release.
    fn check_tag(&self, tag: &Value, but: Option<u64>) -> Result<(), (u16, String)> {
        let mut others = self.pages.iter().filter(|(id, _)| Some(**id) != but);
        let is_taken = others.any(|(_, page)| page["tag_name"] == *tag && page["draft"] == false);
        if is_taken {
            return Err(invalid("tag_name already_exists"));
        }
        Ok(())
    }

    fn check_mutable(&self, release: u64) -> Result<(), (u16, String)> {
        let page = self.pages.get(&release).ok_or_else(not_found)?;
        if page["immutable"] == true && page["draft"] == false {
            return Err(invalid("the release is immutable"));
        }
        Ok(())
    }

    fn check_name(&self, release: u64, name: &str) -> Result<(), (u16, String)> {
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            return Err(invalid("GitHub would rename this file"));
        }
        let assets = self.assets_of(release);
        if assets.iter().any(|asset| asset["name"] == *name) {
            return Err(invalid("name already_exists"));
        }
        Ok(())
    }

    fn upload(&mut self, release: u64, parameters: &Parameters, bytes: &[u8]) -> Answer {
        let name = parameters.get("name").map_or("", String::as_str);
        self.check_mutable(release)?;
        self.check_name(release, name)?;
        let id = self.add_asset(release, name, bytes);
        let (_, asset, _) = self.assets.get(&id).ok_or_else(not_found)?;
        Ok((201, asset.clone()))
    }

    fn rename(&mut self, id: u64, change: &Value) -> Answer {
        let (release, _, _) = self.assets.get(&id).ok_or_else(not_found)?;
        let release = *release;
        let name = change["name"].as_str().unwrap_or_default();
        self.check_mutable(release)?;
        self.check_name(release, name)?;
        let (_, asset, _) = self.assets.get_mut(&id).ok_or_else(not_found)?;
        asset["name"] = json!(name);
        Ok((200, asset.clone()))
    }
}

fn check_notes(body: &Value) -> Result<(), (u16, String)> {
    let notes = body["body"].as_str().unwrap_or_default();
    if notes.chars().count() > MAX_NOTES {
        return Err(invalid("body is too long (maximum is 125000 characters)"));
    }
    Ok(())
}
