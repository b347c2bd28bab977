//! What an expression may cost: it may come from a saved folder or a file of somebody else.
//!
//! The library recurses with an expression's depth, and lets one make any amount of a small value
//! (`[@, @] | [@, @] | …`). Both can be told from the expression alone.

use jmespath::ast::Ast;

/// Bytes of an expression.
pub(super) const MAX_EXPRESSION: usize = 4 << 10;
/// Brackets, dots and operators of an expression, which is no deeper than that.
pub(super) const MAX_OPERATORS: usize = 128;
/// How many times what it is given an expression may be able to make of it.
pub(super) const MAX_GROWTH: u64 = 64;
/// The largest index, which the library adds to others without a check.
pub(super) const MAX_INDEX: u32 = 1 << 24;
/// Values, and bytes of texts, that are taken of what an expression finds.
pub(super) const MAX_FOUND: usize = 16 << 20;

/// # Errors
/// What is accepted instead of a text that must not be parsed.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_EXPRESSION {
        return Err(format!("at most {MAX_EXPRESSION} bytes"));
    }
    // Those within texts are counted, too, which does no harm.
    let is_operator = |byte: &u8| b".[{(|&!<>=*`".contains(byte);
    match text.bytes().filter(|byte| is_operator(byte)).count() {
        count if count > MAX_OPERATORS => {
            Err(format!("at most {MAX_OPERATORS} brackets and operators"))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// What is accepted instead of an expression that must not be used.
pub(super) fn check(expression: &Ast) -> Result<(), String> {
    match growth(expression)? {
        growth if growth > MAX_GROWTH => Err(format!(
            "one that makes at most {MAX_GROWTH} times what it is given, not {growth}"
        )),
        _ => Ok(()),
    }
}

/// How many times what it is given an expression may make of it. What is multiplied here is what the
/// library shares, and what is written out when it is read.
fn growth(expression: &Ast) -> Result<u64, String> {
    let both = |lhs, rhs| Ok::<_, String>((growth(lhs)?, growth(rhs)?));
    let add = |sum: u64, growth: u64| sum.saturating_add(growth);
    let sum = |nodes: &[Ast]| {
        let mut growths = nodes.iter().map(growth);
        growths.try_fold(0, |sum, growth| Ok::<_, String>(add(sum, growth?)))
    };
    let checked = |index: i32| match index.unsigned_abs() > MAX_INDEX {
        true => Err(format!("indices of at most {MAX_INDEX}")),
        false => Ok(1),
    };
    Ok(match expression {
        Ast::Identity { .. } | Ast::Field { .. } => 1,
        Ast::Index { idx, .. } => checked(*idx)?,
        Ast::Slice {
            start, stop, step, ..
        } => {
            checked(*step)?;
            checked(start.unwrap_or(0))?;
            checked(stop.unwrap_or(0))?
        }
        Ast::Literal { value, .. } => value.to_string().len().max(1) as u64,
        // Their outcome is a truth.
        Ast::Comparison { lhs, rhs, .. } => {
            both(lhs, rhs)?;
            1
        }
        Ast::Not { node, .. } => {
            growth(node)?;
            1
        }
        Ast::Condition {
            predicate, then, ..
        } => both(predicate, then)?.1,
        Ast::Or { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } => {
            let (lhs, rhs) = both(lhs, rhs)?;
            lhs.max(rhs)
        }
        Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => growth(node)?,
        Ast::Expref { ast, .. } => growth(ast)?,
        Ast::Projection { lhs, rhs, .. } | Ast::Subexpr { lhs, rhs, .. } => {
            let (lhs, rhs) = both(lhs, rhs)?;
            lhs.saturating_mul(rhs)
        }
        Ast::MultiList { elements, .. } => sum(elements)?.max(1),
        Ast::MultiHash { elements, .. } => {
            let mut pairs = elements.iter();
            let pairs = pairs.try_fold(0, |sum, pair| {
                let pair = add(growth(&pair.value)?, pair.key.len() as u64 / 16);
                Ok::<_, String>(add(sum, pair))
            });
            pairs?.max(1)
        }
        Ast::Function { name, args, .. } => match name.as_str() {
            "join" | "map" | "max_by" | "min_by" | "sort_by" => {
                let growths = args.iter().map(growth).collect::<Result<Vec<_>, _>>()?;
                growths.into_iter().fold(1, u64::saturating_mul)
            }
            // Quotes and their escapes.
            "to_string" => sum(args)?.saturating_mul(2),
            _ => sum(args)?.max(1),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<u64, String> {
        growth(jmespath::compile(text).unwrap().as_ast())
    }

    #[test]
    fn growth_is_what_an_expression_can_make() {
        for text in [
            "choices[0].delta.content",
            "a[?type=='message'].content[].text",
            "a || b || c",
            "a[-1].b[::2]",
            "sort_by(a, &b)[*].c",
        ] {
            assert_eq!(of(text), Ok(1), "{text}");
        }
        assert_eq!(of("[@, @] | [@, @] | [@, @][]"), Ok(8));
        assert_eq!(of("map(&[@, @, @], [a, b])"), Ok(6));
        assert_eq!(of("map(&'four', a)"), Ok(6));
        assert_eq!(of("{a: b, c: d}"), Ok(2));
        assert!(of("a[2147483647]").is_err());
        assert!(of("a[::-2147483647]").is_err());
    }

    #[test]
    fn texts_are_checked_before_they_are_parsed() {
        assert!(check_text("choices[0].delta.content").is_ok());
        for opened in ["[", "(", "!", "a.", "a|", "{a:", "&", "a[]"] {
            assert!(check_text(&opened.repeat(20_000)).is_err(), "{opened}");
            assert!(
                check_text(&opened.repeat(MAX_OPERATORS + 1)).is_err(),
                "{opened}"
            );
            // What is let through exhausts no stack.
            let most = opened.repeat(MAX_OPERATORS / 2);
            assert!(check_text(&most).is_ok());
            let _ = jmespath::compile(&most);
        }
    }
}
