//! Whether two models speak of the same tokens.

use farthing_gguf::{Array, Gguf, Value};

use crate::error::{Error, Result};

/// Vocabularies of one family are filled up to different sizes; up to so many tokens do not matter.
const MOST_FILLING: usize = 128;

/// Checks that a draft model has a model's vocabulary: every token that both have is the same, and they are
/// equally many but for some that fill up the matrices.
///
/// # Errors
/// They are not, with the first difference or both sizes.
pub fn check_draft_vocabulary(model: &Gguf, draft: &Gguf) -> Result<()> {
    let (theirs, ours) = (tokens(model), tokens(draft));
    let (Some(theirs), Some(ours)) = (theirs, ours) else {
        // Without vocabularies token ids are all that there is.
        return match (theirs, ours) {
            (None, None) => Ok(()),
            _ => Err(Error::Option("of the model and the draft one has a vocabulary".into())),
        };
    };
    let (n, n_draft) = (theirs.len(), ours.len());
    let pairs = theirs.bytes().into_iter().flatten().zip(ours.bytes().into_iter().flatten());
    if let Some((id, (theirs, ours))) = pairs.enumerate().find(|(_, (a, b))| a != b) {
        let [theirs, ours] = [theirs, ours].map(String::from_utf8_lossy);
        return Err(Error::Option(format!(
            "the draft model has another vocabulary: token {id} is {ours:?}, the model's is {theirs:?}"
        )));
    }
    if n.abs_diff(n_draft) > MOST_FILLING {
        return Err(Error::Option(format!(
            "the draft model has another vocabulary: {n_draft} tokens, the model has {n}"
        )));
    }
    Ok(())
}

fn tokens(gguf: &Gguf) -> Option<&Array> {
    match gguf.metadata().get("tokenizer.ggml.tokens") {
        Some(Value::Array(array)) => Some(array),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use farthing_gguf::Writer;

    use super::*;

    fn file(tokens: Option<Vec<String>>) -> Gguf {
        let mut file = Vec::new();
        let mut writer = Writer::stream(&mut file);
        if let Some(tokens) = tokens {
            let array = Value::Array(Array::strings(tokens));
            writer.metadata("tokenizer.ggml.tokens", array).unwrap();
        }
        writer.finish().unwrap();
        Gguf::from_bytes(file).unwrap()
    }

    fn words(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("word{i}")).collect()
    }

    fn refusal(model: Option<Vec<String>>, draft: Option<Vec<String>>) -> Option<String> {
        check_draft_vocabulary(&file(model), &file(draft)).err().map(|error| error.to_string())
    }

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(refusal(Some(words(9)), Some(words(9))), None);
        assert_eq!(refusal(None, None), None);
        let mut other = words(9);
        other[4] = "naïve".into();
        assert_eq!(
            refusal(Some(words(9)), Some(other)).as_deref(),
            Some(
                "the draft model has another vocabulary: token 4 is \"naïve\", the model's is \
                 \"word4\""
            )
        );
    }

    #[test]
    fn sizes_may_differ_by_what_fills_up() {
        assert_eq!(refusal(Some(words(500)), Some(words(628))), None);
        assert_eq!(refusal(Some(words(628)), Some(words(500))), None);
        assert_eq!(
            refusal(Some(words(629)), Some(words(500))).as_deref(),
            Some("the draft model has another vocabulary: 500 tokens, the model has 629")
        );
        assert!(refusal(Some(words(5)), None).is_some_and(|text| text.contains("one has a vocab")));
    }
}
