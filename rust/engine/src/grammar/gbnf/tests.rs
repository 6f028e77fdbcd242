use super::*;

fn lark(text: &str) -> String {
    let find = |name: &str| (name == "<think>").then_some(7);
    to_lark(text, &find).expect("a grammar")
}

fn refused(text: &str) -> String {
    to_lark(text, &|_| None).expect_err("it is broken")
}

#[test]
fn what_is_regular_is_one_lexeme() {
    assert_eq!(
        lark("root ::= \"a\" b{2,3}\nb ::= [0-9]+ # digits\n"),
        "T1: /[\\x{30}-\\x{39}]/+\nT2: T1{2,3}\nT3: \"a\" T2\nstart: T3\n"
    );
    assert_eq!(
        lark("root ::= | \"a\\\"\\n\\x41\""),
        "T1: \"\"\nT2: T1 | \"a\\\"\\nA\"\nstart: T2\n"
    );
}

#[test]
fn what_leads_to_itself_is_a_rule() {
    assert_eq!(
        lark("root ::= item\nitem ::= [a-z]+ | \"(\" (item (\",\" item)*)? \")\""),
        "start: r0\nr0: r1\nT1: /[\\x{61}-\\x{7a}]/+\ng2: \",\" r1\ng3: r1 g2*\n\
         g4: T1 | \"(\" g3? \")\"\nr1: g4\n"
    );
}

#[test]
fn a_lexeme_that_might_swallow_what_follows_ends_before() {
    // The white space of a term may not take the newline that ends a line.
    let sums = lark(
        "root ::= (expr \"\\n\")+\nexpr ::= term (\"+\" term)*\n\
         term ::= [a-z] [a-z0-9]* ws | \"(\" expr \")\" ws\nws ::= [ \\n]*",
    );
    let spaces = "/[\\x{a}-\\x{a}\\x{20}-\\x{20}]/*";
    assert!(sums.contains(&format!(" {spaces}")), "{sums}");
}

#[test]
fn tokens_have_numbers_and_names() {
    assert_eq!(lark("root ::= <think> \"a\""), "start: r0\ng1: <[7]> \"a\"\nr0: g1\n");
    assert_eq!(lark("root ::= !<[12]>+ <[3]>"), "start: r0\ng1: <[^12]>+ <[3]>\nr0: g1\n");
    assert_eq!(refused("root ::= <thonk>"), "line 1, column 17: <thonk> is no token");
}

#[test]
fn rules_that_grow_when_they_are_written_out_are_refused() {
    let doubled: String = (0..40).map(|n| format!("r{n} ::= r{0} r{0}\n", n + 1)).collect();
    assert_eq!(
        refused(&format!("root ::= r0\n{doubled}r40 ::= \"a\"")),
        "written out, a rule has more than 200000 items"
    );
    let words: Vec<String> = (0..2000).map(|n| format!("\"w{n}\"")).collect();
    assert!(lark(&format!("root ::= {}", words.join(" | "))).contains("w1999"));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, message) in [
        ("root ::= \"a\n", "line 2, column 1: the text ends too early"),
        ("root ::= a\n  b", "line 2, column 4: expected \"::=\""),
        ("root ::= (\"a\"", "line 1, column 14: expected \")\""),
        ("root ::= *", "line 1, column 11: there is nothing before '*'"),
        ("root ::= \"\\q\"", "line 1, column 13: \\q is no escape"),
        ("root ::= \"a\"{3,2}", "line 1, column 18: {3,2} allows nothing"),
        ("root ::= b\n", "line 1, column 10: there is no rule \"b\""),
        ("a ::= \"x\"\n", "there is no rule \"root\""),
        ("root ::= [b-a]", "line 1, column 14: the range 'b'-'a' is empty"),
    ] {
        assert_eq!(refused(text), message, "{text:?}");
    }
    let deep = format!("root ::= {}", "(".repeat(101));
    assert_eq!(refused(&deep), "line 1, column 111: groups are nested more than 100 deep");
}
