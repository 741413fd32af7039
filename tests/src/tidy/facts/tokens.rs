//! Facts from inside macro calls, where there is no syntax tree, only tokens.
//! It recognises paths, method calls and macro names by their spelling; strings and comments never count.

use proc_macro2::{TokenStream, TokenTree};

use super::Facts;

impl Facts {
    /// Gathers what a macro's arguments name.
    pub(super) fn add_tokens(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            match &trees[at] {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Ident(_) => {
                    at = self.add_name(&trees, at);
                    continue;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }

    /// Takes the path that starts at `first`; returns the index behind it.
    fn add_name(&mut self, trees: &[TokenTree], first: usize) -> usize {
        let mut segments = vec![trees[first].to_string()];
        let mut at = first + 1;
        while is_punct(trees.get(at), ':') && is_punct(trees.get(at + 1), ':') {
            let Some(TokenTree::Ident(next)) = trees.get(at + 2) else {
                break;
            };
            segments.push(next.to_string());
            at += 3;
        }
        let span = trees[first].span();
        let last = segments.last().cloned().unwrap_or_default();
        if first > 0 && is_punct(trees.get(first - 1), '.') {
            let named = self.named(last, span);
            self.method_calls.push(named);
        } else if is_punct(trees.get(at), '!')
            && matches!(trees.get(at + 1), Some(TokenTree::Group(_)))
        {
            let named = self.named(last, span);
            self.macros.push(named);
        } else {
            self.add_path(segments, span);
        }
        at
    }
}

/// True if the condition of a `#[cfg(...)]` can only hold in a test build: `test` outside any `not(...)`.
pub(super) fn asks_for_test(condition: TokenStream) -> bool {
    let mut negated = false;
    for tree in condition {
        match tree {
            TokenTree::Ident(name) if name == "test" => return true,
            TokenTree::Ident(name) => negated = name == "not",
            TokenTree::Group(group) if !negated && asks_for_test(group.stream()) => return true,
            _ => negated = false,
        }
    }
    false
}

fn is_punct(tree: Option<&TokenTree>, sign: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}
