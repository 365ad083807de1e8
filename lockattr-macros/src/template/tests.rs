//! Valid templates, and the errors for invalid ones.

use super::*;

fn refusal(text: &str) -> String {
    let parsed = Template::parse(text, Positions::Refused);
    parsed
        .and_then(|template| template.separators())
        .unwrap_err()
}

#[test]
fn templates_are_taken_apart() {
    let template = Template::parse("a{{b}}:{id:08}:{req.user.0:?}", Positions::Refused).unwrap();
    let placeholder = |root: &str, path: &[&str], spec: &str| {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Piece::Placeholder(Placeholder {
            root: root.to_owned(),
            path,
            spec: spec.to_owned(),
        })
    };
    assert_eq!(
        template.pieces,
        [
            Piece::Text("a{b}:".to_owned()),
            placeholder("id", &[], ":08"),
            Piece::Text(":".to_owned()),
            placeholder("req", &["user", "0"], ":?"),
        ]
    );
    assert_eq!(
        template.renamed(|placeholder| format!("_{}", placeholder.root)),
        "a{{b}}:{_id:08}:{_req:?}"
    );
}

#[test]
fn mistakes_are_explained() {
    for (text, part) in [
        ("", "empty key"),
        ("a\nb", "control characters"),
        ("a:{", "`{` without"),
        ("a:{id", "`{` without"),
        ("a:}", "`}` without"),
        ("a:{}", "without a name"),
        ("a:{:?}", "without a name"),
        ("a:{0}", "position"),
        ("a:{ id}", "blanks around"),
        ("a:{id :08}", "blanks around"),
        ("a:{id.}", "neither a name"),
        ("a:{self}.{id.self}", "neither a name"),
        ("a:{id.0x10}", "neither a name"),
        ("a:{id.1_0}", "neither a name"),
        ("a:{id.01}", "neither a name"),
        ("a:{id.+1}", "expression"),
        ("a:{id.name/**/}", "neither a name"),
        ("a:{id.name\u{200e}}", "neither a name"),
        ("a:{self.r#type}", "without `r#`"),
        ("a:{id.len()}", "expression"),
        ("a:{id:>w$}", "written out"),
        ("a:{id:.*}", "written out"),
        ("a:{id:*<w$}", "written out"),
        ("a:{Self::TTL}", "{ttl}…\", ttl = Self::TTL)`"),
        ("a:{config::name()}", "name = config::name())`"),
        ("{a}{b}", "nothing stands between"),
        ("{a}0F{b}", "only `0F` stands between"),
        ("{a}%{b}", "only `%` stands between"),
    ] {
        assert!(refusal(text).contains(part), "{text}: {}", refusal(text));
    }
}

#[test]
fn the_spec_ends_where_rustc_says() {
    for spec in [
        ":*<6", ":x^8", ":+", ":#?", ":$^5", ":}>5", ":{<5", "::<5", ":>5 ", ":",
    ] {
        let text = format!("a:{{v{spec}}}:b");
        let template = Template::parse(&text, Positions::Refused).unwrap();
        assert_eq!(template.placeholders().next().unwrap().spec, spec);
        assert_eq!(template.pieces.last(), Some(&Piece::Text(":b".to_owned())));
        assert_eq!(
            template.renamed(|placeholder| placeholder.root.clone()),
            text
        );
    }
}

#[test]
fn positions_are_counted_where_they_are_allowed() {
    let template = Template::parse("{}:{a}:{:?}:{0:04}:{1.id}", Positions::Counted).unwrap();
    let roots: Vec<_> = template.placeholders().map(|it| it.root.as_str()).collect();
    assert_eq!(roots, ["0", "a", "1", "0", "1"]);
    assert!(Template::parse("{01}", Positions::Counted).is_err());
}

#[test]
fn placeholders_are_told_from_other_braces() {
    for text in ["a:{id}", "{self.id}", "a:{id:08}", "{{a}}:{id}", "{{{id}}}"] {
        assert!(has_placeholder(text), "{text}");
    }
    for text in [
        "a",
        "{\"id\": 1}",
        "{{id}}",
        "{}",
        "{1}",
        "{a",
        "[{]}",
        "{ id }",
    ] {
        assert!(!has_placeholder(text), "{text}");
    }
}

#[test]
fn separators_are_the_safe_characters_that_tell() {
    let separators = |text: &str| {
        let template = Template::parse(text, Positions::Refused).unwrap();
        template.separators().unwrap()
    };
    assert_eq!(separators("x{a}:{b}y"), "");
    assert_eq!(separators("{a}-{b}"), "-");
    assert_eq!(separators("{a}-{b}zz{c}A_{d}"), "-z_");
    assert_eq!(separators("{a}% {b}"), "");
}
