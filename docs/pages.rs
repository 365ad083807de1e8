//! The pages of the user's guide, so that their code is compiled and, where it needs no server, run.

#![forbid(unsafe_code)]
#![allow(
    clippy::doc_markdown,
    reason = "the pages name products and libraries, and are read as a book"
)]

/// Each page is a module, whose documentation is the page.
macro_rules! pages {
    ($($module:ident = $file:literal,)+) => {
        $(#[doc = include_str!($file)] mod $module {})+

        /// In the order of the book.
        #[cfg(test)]
        const PAGES: &[(&str, &str)] = &[$(($file, include_str!($file)),)+];
    };
}

pages! {
    introduction = "introduction.md",
    tutorial = "tutorial.md",
    examples = "examples.md",
    options = "options.md",
    by_hand = "by-hand.md",
    settings = "settings.md",
    what_happens = "what-happens.md",
    faq = "faq.md",
    choosing = "choosing.md",
    patterns = "patterns.md",
    anti_patterns = "anti-patterns.md",
    testing = "testing.md",
    deployments = "deployments.md",
    large_clusters = "large-clusters.md",
    engines = "engines.md",
    operations = "operations.md",
    observability = "observability.md",
    performance = "performance.md",
    promises = "promises.md",
    reliability = "reliability.md",
    how_it_works = "how-it-works.md",
    comparison = "comparison.md",
    migration = "migration.md",
    from_shedlock = "from-shedlock.md",
    from_redisson = "from-redisson.md",
    from_redsync = "from-redsync.md",
    from_node_redlock = "from-node-redlock.md",
    from_rslock = "from-rslock.md",
    from_set_nx = "from-set-nx.md",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::PAGES;

    /// No pages: the table of contents, and what is for maintainers.
    const OTHERS: [&str; 2] = ["SUMMARY.md", "releasing.md"];

    /// The names of the files in a folder beside this package, or of this package, that end so.
    fn files(folder: &str, ending: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let names = fs::read_dir(folder).unwrap().map(|entry| {
            let name = entry.unwrap().file_name();
            name.into_string().expect("the name is ours")
        });
        names.filter(|name| name.ends_with(ending)).collect()
    }

    #[test]
    fn the_table_of_contents_names_the_pages() {
        let links = include_str!("SUMMARY.md").split("](").skip(1);
        let linked: Vec<&str> = links.filter_map(|link| link.split(')').next()).collect();
        let pages: Vec<&str> = PAGES.iter().map(|(file, _)| *file).collect();
        assert_eq!(linked, pages, "SUMMARY.md, and the list in pages.rs");
    }

    #[test]
    fn each_file_is_a_page() {
        let pages = PAGES.iter().map(|(file, _)| *file);
        let known: BTreeSet<String> = pages.chain(OTHERS).map(str::to_owned).collect();
        assert_eq!(
            files("", ".md"),
            known,
            "the folder, and the list in pages.rs"
        );
    }

    #[test]
    fn all_rust_is_compiled() {
        for (file, page) in PAGES {
            let fences = page
                .lines()
                .filter_map(|line| line.trim_start().strip_prefix("```"));
            // Every other one closes a block.
            for language in fences.step_by(2) {
                // Rustdoc takes a block without a language for Rust.
                assert_ne!(language, "", "{file}: a block of code without its language");
                let is_left_out = language.contains("ignore") || language.starts_with("rs");
                assert!(!is_left_out, "{file}: `{language}` is not compiled");
            }
        }
    }

    #[test]
    fn each_example_is_in_the_index() {
        let index = include_str!("examples.md");
        for example in files("../examples", ".rs") {
            let name = example.trim_end_matches(".rs");
            for part in [
                format!("/examples/{name}.rs)"),
                format!("`cargo run -p examples --example {name}`"),
            ] {
                assert!(index.contains(&part), "{part} is not in examples.md");
            }
        }
    }
}
