//! Parses key templates: text with placeholders, as far as `format_args!` does not do it.

/// A template: text around placeholders.
#[derive(Debug, PartialEq)]
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// With `{{` and `}}` resolved.
    Text(String),
    Placeholder(Placeholder),
}

/// `{root.path:spec}`
#[derive(Debug, PartialEq)]
pub(crate) struct Placeholder {
    pub(crate) root: String,
    /// Fields and tuple indices after the root.
    pub(crate) path: Vec<String>,
    /// The format spec, with its colon.
    pub(crate) spec: String,
}

impl Placeholder {
    /// Returns whether `format_args!` can capture it by itself.
    pub(crate) fn is_plain(&self) -> bool {
        self.path.is_empty() && self.root != "self"
    }
}

/// Whether `{}` and `{0}` refer to values by their position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    Refused,
    Counted,
}

impl Template {
    /// With [`Positions::Counted`], the root of `{}` is the number of its value.
    ///
    /// # Errors
    ///
    /// What is wrong with the template, and what to write instead.
    pub(crate) fn parse(text: &str, positions: Positions) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty key would be one lock for everything; name what is locked, \"order:{order_id}\"".into());
        }
        if text.contains(char::is_control) {
            return Err("a key holds no control characters, such as line ends".into());
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        let mut next = 0_u32;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
            } else if brace == "}" {
                return Err("a `}` without its `{`; write `}}` for the character itself".into());
            } else {
                let Some((name, spec, after)) = split(after) else {
                    return Err("a `{` without its `}`; write `{{` for the character itself".into());
                };
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                let number = next.to_string();
                let name = if name.is_empty() && positions == Positions::Counted {
                    next += 1;
                    &number
                } else {
                    name
                };
                pieces.push(Piece::Placeholder(placeholder(name, spec, positions)?));
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder),
            Piece::Text(_) => None,
        })
    }

    /// Returns the safe characters that must also be encoded in this template's values, so that a
    /// value never contains the text between two placeholders.
    ///
    /// A value never contains a character that is always encoded, so any such character separates
    /// two values. A safe character separates them only if it is encoded too. An encoded character
    /// is written with `%`, digits and A to F, so those never separate.
    ///
    /// # Errors
    ///
    /// When no character separates two placeholders.
    pub(crate) fn separators(&self) -> Result<String, String> {
        let mut separators = String::new();
        for window in self.pieces.windows(2) {
            if let [Piece::Placeholder(left), Piece::Placeholder(right)] = window {
                return Err(not_apart(left, "", right));
            }
        }
        for window in self.pieces.windows(3) {
            let [
                Piece::Placeholder(left),
                Piece::Text(text),
                Piece::Placeholder(right),
            ] = window
            else {
                continue;
            };
            if text.chars().any(|c| c != '%' && !is_safe(c)) {
                continue;
            }
            let telling: Vec<char> = text
                .chars()
                .filter(|c| !matches!(c, '%' | '0'..='9' | 'A'..='F'))
                .collect();
            if telling.is_empty() {
                return Err(not_apart(left, text, right));
            }
            for c in telling {
                if !separators.contains(c) {
                    separators.push(c);
                }
            }
        }
        Ok(separators)
    }

    /// Returns the template for `format_args!`, with other names for some placeholders.
    pub(crate) fn renamed(&self, mut name: impl FnMut(&Placeholder) -> String) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => {
                    text.push_str(&literal.replace('{', "{{").replace('}', "}}"));
                }
                Piece::Placeholder(placeholder) => {
                    text.push_str(&format!("{{{}{}}}", name(placeholder), placeholder.spec));
                }
            }
        }
        text
    }
}

fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

fn not_apart(left: &Placeholder, text: &str, right: &Placeholder) -> String {
    let (left, right) = (&left.root, &right.root);
    let between = if text.is_empty() {
        "nothing".to_owned()
    } else {
        format!("only `{text}`")
    };
    format!(
        "{between} stands between `{{{left}}}` and `{{{right}}}`, so different values could give the same key; \
         put `:` between them"
    )
}

/// Splits the text after a `{` into the name, the spec with its colon, and the text after the `}`.
///
/// As in `format_args!`, any character before `<`, `^` or `>` is a fill character, also a `}`.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let name = text.find([':', '}'])?;
    let mut spec = text[name..].char_indices().skip(1);
    let fill = spec.next();
    let closing_from = match (fill, spec.next()) {
        (Some((_, fill)), Some((at, '<' | '^' | '>'))) if text[name..].starts_with(':') => {
            debug_assert_eq!(at, 1 + fill.len_utf8());
            name + at
        }
        _ => name,
    };
    let end = closing_from + text[closing_from..].find('}')?;
    Some((&text[..name], &text[name..end], &text[end + 1..]))
}

/// Returns whether the text contains something that a template would fill in, `{name…}`.
pub(crate) fn has_placeholder(text: &str) -> bool {
    let text = text.replace("{{", "");
    text.split('{').skip(1).any(|inside| {
        inside
            .split_once(['}', ':', '.'])
            .is_some_and(|(name, _)| name == "self" || is_name(name))
    })
}

fn placeholder(name: &str, spec: &str, positions: Positions) -> Result<Placeholder, String> {
    if name.trim().is_empty() {
        return Err(
            "a placeholder without a name; write which argument it stands for, `{order_id}`".into(),
        );
    }
    if name.trim() != name {
        let inside = format!("{name}{spec}");
        let name = name.trim();
        return Err(format!(
            "`{{{inside}}}` has blanks around its name; write `{{{name}{spec}}}`"
        ));
    }
    check_spec(name, spec)?;
    if name.contains(['(', '[', '&', ' ', '+', '!', '?']) {
        let hint = format!("key(\"…{{value}}…\", value = {name})");
        return Err(format!(
            "`{name}` is an expression; a placeholder takes names and fields. Write `{hint}`"
        ));
    }
    let mut segments = name.split('.').map(str::to_owned);
    let root = segments.next().unwrap_or_default();
    let path: Vec<String> = segments.collect();
    let is_position = is_index(&root) && positions == Positions::Counted;
    if !is_position && root.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!(
            "`{{{name}}}` is a position; write the name of an argument"
        ));
    }
    if let Some(keyword) = name.split('.').find_map(|part| part.strip_prefix("r#")) {
        return Err(format!(
            "`r#{keyword}` in `{{{name}}}`: templates name keywords without `r#`; write `{keyword}`"
        ));
    }
    let is_root = |text: &String| is_position || text == "self" || is_name(text);
    let is_field = |text: &&String| is_name(text) || is_index(text);
    match std::iter::once(&root)
        .filter(|root| !is_root(root))
        .chain(path.iter().filter(|field| !is_field(field)))
        .next()
    {
        Some(segment) => Err(format!(
            "`{segment}` in `{{{name}}}` is neither a name nor a field; write `{{order.id}}`"
        )),
        None => Ok(Placeholder {
            root,
            path,
            spec: spec.to_owned(),
        }),
    }
}

/// Refuses an invalid spec, and a width or precision taken from another argument.
fn check_spec(name: &str, spec: &str) -> Result<(), String> {
    let mut chars = spec.chars().skip(1);
    let fills = matches!(
        (chars.next(), chars.next()),
        (Some(_), Some('<' | '^' | '>'))
    );
    let rest: String = spec.chars().skip(if fills { 3 } else { 1 }).collect();
    if rest.starts_with(':') {
        let last = spec.rsplit(':').next().unwrap_or_default();
        let value = last.trim_end_matches("()").to_lowercase();
        let value = if is_name(&value) { &value } else { "value" };
        return Err(format!(
            "`{{{name}{spec}}}` is a path; a placeholder takes names and fields. \
             Bind it to a name: `(\"…{{{value}}}…\", {value} = {name}{spec})`"
        ));
    }
    if rest.contains(['$', '*']) {
        return Err(format!(
            "`{{{name}{spec}}}`: width and precision must be written out, `{{{name}:08}}`"
        ));
    }
    Ok(())
}

/// Returns whether the whole text is a name, keywords without `r#`.
///
/// The parser alone is not enough: it skips comments and blanks around a name.
fn is_name(text: &str) -> bool {
    let is =
        |written: &str| syn::parse_str::<syn::Ident>(written).is_ok_and(|ident| ident == written);
    is(text) || is(&format!("r#{text}"))
}

/// Returns whether it is a tuple index in rustc's form: not `0x1`, `1_0` or `01`.
fn is_index(text: &str) -> bool {
    text.parse::<u32>()
        .is_ok_and(|index| index.to_string() == text)
}

#[cfg(test)]
mod tests;
