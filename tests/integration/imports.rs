//! Files of a crate do not import each other in a circle: one that does can be read, moved or tested only with all the
//! others.
//!
//! Read from the text, without a compiler: `use` lines and `crate::…` or `super::…` paths outside tests. A name that a
//! module hands on by `pub use` counts as its own file's, and handing on is not importing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{files, repository};

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let roots: BTreeSet<PathBuf> = files()
        .into_iter()
        .filter(|path| path.starts_with("crates") || path.starts_with("actions"))
        .filter(|path| path.ends_with("lib.rs") || path.ends_with("main.rs"))
        .map(|path| path.parent().unwrap().to_owned())
        .collect();
    assert!(roots.len() >= 12, "{roots:?}");
    let mut n_imports = 0;
    let mut found = BTreeSet::new();
    for root in &roots {
        let of_crate = Crate::read(root, &roots);
        let imports = of_crate.imports();
        n_imports += imports.values().map(BTreeSet::len).sum::<usize>();
        found.extend(circles(&imports));
    }
    assert!(n_imports > 200, "only {n_imports} imports were found");

    assert!(
        found.is_empty(),
        "these files import each other: {found:#?}"
    );
}

/// A path in code, `["crate", "gate", "Rule"]`.
type Names = Vec<String>;

/// The modules of a crate, by their path from its root.
struct Crate {
    modules: BTreeMap<Names, Module>,
}

struct Module {
    /// From the repository's root.
    file: String,
    /// Without comments and tests.
    code: String,
    /// What `pub use` hands on: the name here, and where it comes from. `*` for all of a module.
    handed_on: Vec<(String, Names)>,
    imports: Vec<Names>,
}

impl Crate {
    fn read(root: &Path, roots: &BTreeSet<PathBuf>) -> Self {
        let entry = ["lib.rs", "main.rs"].map(|name| root.join(name));
        let entry = entry
            .iter()
            .find(|path| repository().join(path).is_file())
            .unwrap();
        let is_ours = |path: &PathBuf| {
            let nearest = path
                .ancestors()
                .skip(1)
                .find(|folder| roots.contains(*folder));
            nearest == Some(root) && path.extension().is_some_and(|extension| extension == "rs")
        };
        let mut modules = BTreeMap::new();
        for path in files().into_iter().filter(is_ours) {
            let relative = path.strip_prefix(root).unwrap().with_extension("");
            let mut names: Names = relative
                .iter()
                .map(|name| name.to_str().unwrap().to_owned())
                .collect();
            let is_entry = path == *entry;
            let is_other_entry = !is_entry && ["lib", "main"].contains(&&*names.join("/"));
            if is_other_entry || names.iter().any(|name| name == "tests") {
                continue;
            }
            if is_entry {
                names.clear();
            }
            modules.insert(names, Module::read(&path));
        }
        Self { modules }
    }

    /// File, and the files of this crate that it imports.
    fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let of_module = |(names, module): (&Names, &Module)| {
            let targets = module.imports.iter();
            let mut targets: BTreeSet<String> = targets
                .filter_map(|path| self.resolve(names, path, 0))
                .map(|found| self.modules[&found].file.clone())
                .collect();
            targets.remove(&module.file);
            (module.file.clone(), targets)
        };
        self.modules.iter().map(of_module).collect()
    }

    /// The module that defines what `path` means in the module `from`; `None` for another crate's.
    fn resolve(&self, from: &Names, path: &Names, depth: usize) -> Option<Names> {
        let mut at = from.clone();
        let mut rest = path.as_slice();
        match rest.first()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop()?;
            }
            name => {
                at.push(name.to_owned());
                if !self.modules.contains_key(&at) {
                    return None;
                }
            }
        }
        rest = &rest[1..];
        while let [name, others @ ..] = rest {
            if name == "super" {
                at.pop()?;
            } else {
                at.push(name.clone());
                if !self.modules.contains_key(&at) {
                    at.pop();
                    break;
                }
            }
            rest = others;
        }
        let Some(name) = rest.first() else {
            return Some(at);
        };
        // A circle of `pub use` does not compile; the bound is for what this reading mistakes.
        if depth > 8 {
            return Some(at);
        }
        let module = self.modules.get(&at)?;
        for (handed_on, source) in &module.handed_on {
            if handed_on == name {
                return self.resolve(&at, source, depth + 1).or(Some(at));
            }
            if handed_on == "*" {
                let source = self.resolve(&at, source, depth + 1);
                let defines = |source: &Names| self.modules[source].defines(name);
                if let Some(source) = source.filter(defines) {
                    return Some(source);
                }
            }
        }
        Some(at)
    }
}

impl Module {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(repository().join(path)).unwrap();
        // Tests come last in a file.
        let text = text.replace("\npub(super) mod tests {", "\nmod tests {");
        let text = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default());
        let code = lines.collect::<Vec<_>>().join("\n");
        let mut module = Self {
            file: path.to_str().unwrap().to_owned(),
            code: String::new(),
            handed_on: Vec::new(),
            imports: Vec::new(),
        };
        let mut rest = String::new();
        let mut statement: Option<String> = None;
        for line in code.lines() {
            let trimmed = line.trim_start();
            let visible = trimmed.strip_prefix("pub").map(|after| {
                let after = after
                    .strip_prefix('(')
                    .and_then(|after| after.split_once(')'));
                after
                    .map_or(&trimmed["pub".len()..], |(_, after)| after)
                    .trim_start()
            });
            if statement.is_none() && visible.unwrap_or(trimmed).starts_with("use ") {
                statement = Some(String::new());
            }
            let Some(open) = &mut statement else {
                rest.push_str(line);
                rest.push('\n');
                continue;
            };
            open.push_str(line);
            if let Some((whole, _)) = open.split_once(';') {
                module.add(whole);
                statement = None;
            }
        }
        for start in ["crate::", "super::"] {
            for (idx, _) in rest.match_indices(start) {
                let is_name = |letter: char| letter.is_alphanumeric() || "_:$".contains(letter);
                if !rest[..idx].ends_with(is_name) {
                    let path = rest[idx..].split(|letter| !is_name(letter)).next().unwrap();
                    module.imports.push(names(path));
                }
            }
        }
        module.code = rest;
        module
    }

    /// Takes a `use` statement in.
    fn add(&mut self, statement: &str) {
        let (before, tree) = statement.split_once("use ").unwrap();
        let mut paths = Vec::new();
        leaves(&Vec::new(), tree.trim(), &mut paths);
        for (path, alias) in paths {
            if before.trim().is_empty() {
                self.imports.push(path);
            } else if alias == "*" {
                self.handed_on
                    .push((alias, path[..path.len() - 1].to_vec()));
            } else {
                self.handed_on.push((alias, path));
            }
        }
    }

    fn defines(&self, name: &str) -> bool {
        [
            "struct", "enum", "union", "trait", "type", "fn", "const", "static",
        ]
        .iter()
        .any(|kind| {
            let start = format!("{kind} {name}");
            self.code.match_indices(&start).any(|(idx, _)| {
                let next = self.code[idx + start.len()..].chars().next();
                !next.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
            })
        })
    }
}

fn names(path: &str) -> Names {
    let names = path.split("::").map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Each path of a `use` tree, with the name that it has here.
fn leaves(before: &Names, tree: &str, paths: &mut Vec<(Names, String)>) {
    if let Some((start, inner)) = tree.split_once('{') {
        let start: Names = before.iter().cloned().chain(names(start)).collect();
        let inner = inner.trim().strip_suffix('}').unwrap_or(inner);
        let (mut depth, mut from) = (0, 0);
        for (idx, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    leaves(&start, inner[from..idx].trim(), paths);
                    from = idx + 1;
                }
                _ => {}
            }
        }
    } else if !tree.is_empty() {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut path: Names = before.iter().cloned().chain(names(path)).collect();
        if path.last().is_some_and(|name| name == "self") && path.len() > 1 {
            path.pop();
        }
        let last = path.last().cloned().unwrap_or_default();
        let alias = if alias.is_empty() {
            last
        } else {
            alias.trim().to_owned()
        };
        paths.push((path, alias));
    }
}

/// The sets of files that reach each other.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let reach = |start: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(file) = open.pop() {
            for next in imports.get(file).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|file| (file, reach(file))).collect();
    let in_circle = |file: &&&String| reached[*file].contains(**file);
    reached
        .keys()
        .filter(in_circle)
        .map(|file| {
            let both = reached[file]
                .iter()
                .filter(|other| reached[other].contains(*file));
            both.cloned().collect()
        })
        .collect()
}

#[test]
fn use_lines_are_read_whole() {
    let mut paths = Vec::new();
    leaves(
        &Vec::new(),
        "crate::a::{self, b::{C, D as E}, f::*}",
        &mut paths,
    );
    let read: Vec<String> = paths
        .iter()
        .map(|(path, alias)| format!("{} {alias}", path.join("::")))
        .collect();
    assert_eq!(
        read,
        [
            "crate::a a",
            "crate::a::b::C C",
            "crate::a::b::D E",
            "crate::a::f::* *"
        ]
    );
}

#[test]
fn a_circle_is_found_with_all_its_files_and_a_chain_is_not() {
    let edge = |from: &str, to: &[&str]| {
        let to = to.iter().map(|file| (*file).to_owned());
        (from.to_owned(), to.collect::<BTreeSet<_>>())
    };
    let imports = BTreeMap::from([
        edge("a", &["b"]),
        edge("b", &["c"]),
        edge("c", &["b", "d"]),
        edge("d", &[]),
    ]);
    assert_eq!(
        circles(&imports),
        BTreeSet::from([vec!["b".to_owned(), "c".to_owned()]])
    );
}
