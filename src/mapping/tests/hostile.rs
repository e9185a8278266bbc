//! Expressions made to hurt: each is refused, or ends in time with a reason.

use std::time::{Duration, Instant};

use super::*;

/// Half of what a worker of the server has.
const STACK_BYTES: usize = 1024 * 1024;

/// Far above what any may take, also in a slow build on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn refused(code: &str) -> Vec<String> {
    let shown = &code[..code.len().min(60)];
    let faults = Mapping::compile(&spec(&[("email", code)])).err().unwrap_or_else(|| panic!("let in: {shown}"));
    faults.into_iter().map(|fault| fault.message).collect()
}

/// Runs `code` as a field over `body`, on a thread with the stack of a worker, and says why the field was dropped.
fn run(code: String, body: String) -> Result<Option<serde_json::Value>, String> {
    let started = Instant::now();
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES);
    let result = worker.spawn(move || field("custom_attributes.x", &code, &body)).unwrap().join().unwrap();
    assert!(started.elapsed() < PATIENCE);
    result
}

#[test]
fn what_recurses_or_reads_the_world_is_refused() {
    for code in [
        "def f: 1 + f; f",
        "def f: .; f",
        "repeat(.)",
        "recurse(.)",
        "recurse",
        "range(9)",
        "range(0; 1e9)",
        "until(false; .)",
        "while(true; .)",
        "[.[], .[]] | combinations",
        "env",
        "env.PATH",
        "$ENV",
        "$ENV.PATH",
        "input",
        "inputs",
        "[inputs]",
        "halt",
        "halt(1)",
        "halt_error",
        "stderr",
        "debug",
        "debug(1)",
        "now",
        "localtime",
        "input_filename",
        "get_search_list",
        "label $out | break $out",
        ".a = 1",
        ".a |= 1",
        ".a += 1",
        ".a //= 1",
        "del(.a)",
        "setpath([\"a\"]; 1)",
        "map_values(.)",
        "walk(.)",
        "import \"a\" as a; .",
        "include \"a\"; .",
        "$__prog_args",
        "matches_unpaid(\"a\"; \"\")",
        "path(.a)",
        "paths",
        ". as $x | def f: .; f",
        "\"\\(def f: f; f)\"",
        "{(def f: f; f): 1}",
        ".[def f: f; f]",
        "limit(3; repeat(1))",
        "tobytes",
        "",
        "  ",
    ] {
        assert!(!refused(code).is_empty(), "{code}");
    }
}

#[test]
fn what_would_overflow_the_compilers_stack_is_refused() {
    for code in [
        "(".repeat(2_000) + "." + &")".repeat(2_000),
        "[".repeat(20_000),
        "-".repeat(4_000) + "1",
        "try ".repeat(1_000) + ".",
        "if ".repeat(1_000),
        ".|".repeat(2_000) + ".",
        ". as $x|".repeat(500) + ".",
        ".+".repeat(2_000) + ".",
        ".a".repeat(2_000),
        ".[0]".repeat(1_000),
        "\"".to_owned() + &"\\(".repeat(60) + &")".repeat(60) + "\"",
        format!("\"{}\"", r"\(.)".repeat(1_000)),
        format!("{{{}a}}", "a,".repeat(1_000)),
        "not(".repeat(60),
        "x".repeat(5_000),
    ] {
        refused(&code);
    }
}

#[test]
fn the_deepest_program_that_is_let_in_runs_on_the_stack_of_a_worker() {
    for (open, close) in [
        (".|", ""),
        ("1+", ""),
        ("first(", ")"),
        ("map(", ")"),
        ("any(.[]?;", ")"),
        ("all(", ")"),
        ("[", "]"),
        ("{a:", "}"),
        ("try ", ""),
        (".a?//", ""),
        ("with_entries(", ")"),
        ("sub(\"a\";", ")"),
        ("sort_by(", ")"),
        ("isempty(", ")"),
        ("-", ""),
        ("reduce .[]? as $x (1;", ")"),
        (". as $x|", ""),
        (". as [$x]|", ""),
        ("if . then ", " end"),
        ("[limit(1;", ")]"),
        ("1,", ""),
        ("\"\\(", ")\""),
        ("select(", ")"),
        ("to_entries|", ""),
        ("..|", ""),
        ("unique_by(", ")"),
    ] {
        // The deepest that passes.
        let deepest = (1..200)
            .map(|depth| open.repeat(depth) + "." + &close.repeat(depth))
            .take_while(|code| Mapping::compile(&spec(&[("email", code)])).is_ok());
        let Some(code) = deepest.last() else { continue };
        for body in ["{}", "[[[1]]]", r#""aaaa""#, &("[".repeat(120) + &"]".repeat(120))] {
            let _ = run(code.clone(), body.to_owned());
        }
    }
}

#[test]
fn what_grows_without_bound_is_broken_off() {
    let numbers = |count: usize| json!(vec![1; count]).to_string();
    let nested_loops = ".[] as $a | ".repeat(30) + "1";
    for (code, body) in [
        (".+.|".repeat(40) + ".", "\"xxxxxxxxxxxxxxxx\"".to_owned()),
        (".+.|".repeat(40) + ".", numbers(10)),
        ("[.,.]|".repeat(40) + "length", "1".to_owned()),
        ("[.,.]|".repeat(40) + "tojson", "1".to_owned()),
        ("{a:.,b:.}|".repeat(30) + ". == {}", "1".to_owned()),
        ("(.,.)|".repeat(40) + "empty", "1".to_owned()),
        ("(.,.)|".repeat(40) + ".a?", "1".to_owned()),
        ("[(.,.)|".to_owned() + &"(.,.)|".repeat(40) + "select(false)]", "1".to_owned()),
        ("first((.,.)|".to_owned() + &"(.,.)|".repeat(40) + "select(.==2))", "1".to_owned()),
        ("try [".to_owned() + &"(.,.)|".repeat(40) + ".] catch \"caught\"", "1".to_owned()),
        (format!("[{nested_loops}] | length"), numbers(20)),
        (format!("last({nested_loops})"), numbers(20)),
        ("\"x\" * 2000000000".to_owned(), "1".to_owned()),
        ("((\"x\" * 100000) * 100000) | length".to_owned(), "1".to_owned()),
        (". * 1e300".to_owned(), "\"x\"".to_owned()),
        ("\"\\(.)\\(.)\"|".repeat(12) + "\"\\(.)\\(.)\" | \"\\(.)\\(.)\\(.)\\(.)\\(.)\\(.)\\(.)\\(.)\\(.)\"", json!("x".repeat(10_000)).to_string()),
        ("tojson|".repeat(24) + ".", "\"\\\"\"".to_owned()),
        ("@uri|".repeat(24) + ".", json!("%".repeat(1_000)).to_string()),
        ("reduce .[] as $x (0; [.])".to_owned(), numbers(1_000)),
        ("reduce .[] as $x ({}; {a: .})".to_owned(), numbers(1_000)),
        ("reduce .[] as $x ([1]; . + .)".to_owned(), numbers(1_000)),
        ("reduce .[] as $x ([]; [., $x] | [tojson])".to_owned(), numbers(1_000)),
        ("[.[] as $a | .[] as $b | .[] as $c | $a]".to_owned(), numbers(1_000)),
        (". as $x | [.[] | $x]".to_owned(), numbers(5_000)),
        ("[.[] | tojson | fromjson | [., .]] | group_by(.) | map(map([., .])) | [.,.,.,.,.,.,.,.] | [.,.,.,.] | unique".to_owned(), numbers(20_000)),
    ] {
        let shown = &code[..code.len().min(50)];
        let reason = run(code.clone(), body).expect_err(shown);
        assert!(
            reason.contains("too much work") || reason.contains("nested deeper") || reason.contains("a number of repetitions") || reason.contains("longer than"),
            "{shown}: {reason}"
        );
    }
}

#[test]
fn the_deepest_value_is_walked_on_the_stack_of_a_worker() {
    let numbers = json!(vec![1; 250]).to_string();
    assert_eq!(run("reduce .[] as $x (0; [.]) | [..] | length".to_owned(), numbers.clone()), Ok(Some(json!(251))));
    assert_eq!(
        run("reduce .[] as $x (0; {a: .}) | [tojson, . == .] | .[1]".to_owned(), numbers),
        Ok(Some(json!(true)))
    );
}

#[test]
fn numbers_do_not_grow_without_bound() {
    assert!(run(".*.|".repeat(45) + ". > 0", "99999999".to_owned()).is_ok());
}

#[test]
fn a_value_nested_in_a_text_cannot_overflow_the_stack() {
    let body = json!("[".repeat(500_000)).to_string();
    assert_eq!(run("fromjson".to_owned(), body), Err("the expression failed: cannot use a text as JSON".to_owned()));
    assert!(run("fromjson? // \"no\"".to_owned(), json!("[".repeat(5_000)).to_string()).is_ok());
}

#[test]
fn a_regular_expression_is_linear_and_its_size_is_bounded() {
    assert!(run(r#"test("(a*)*b")"#.to_owned(), json!("a".repeat(30_000)).to_string()).is_ok());
    let reason = run(r#"test("((a{100}){100}){100}")"#.to_owned(), "\"aaa\"".to_owned()).unwrap_err();
    assert_eq!(reason, "the expression failed: cannot use a text as a regular expression: it is too large");
    assert!(
        run(r#"test("(a|b|ab)*c{1,60}")"#.to_owned(), json!("ab".repeat(400_000)).to_string())
            .unwrap_err()
            .contains("too much work")
    );
    // A pattern from the body.
    assert!(run(r"test(.)".to_owned(), json!("(x{1000}){1000}").to_string()).is_err());
}

#[test]
fn the_work_for_one_webhook_is_bounded_over_all_its_elements() {
    let slow = "[.[] as $a | .[] as $b | 1] | length";
    let body = json!(vec![vec![1; 300]; 900]).to_string();
    let mapped = map(&[("each", ".[]"), ("email", "\"a@b.example\""), ("name", slow)], &body);
    assert_eq!(
        mapped.result,
        Outcome::Unmappable { reason: "the mapping does too much work on this webhook".to_owned() }
    );
}

#[test]
fn an_ordinary_mapping_over_a_large_body_is_far_from_the_limit() {
    let user = json!({"id": 1, "first": "Dana", "last": "Levi", "email": "dana@example.com", "note": "x".repeat(700), "tags": ["a", "b", "c"]});
    let body = json!({"users": vec![user; 1_000]}).to_string();
    let rules = [
        ("each", ".users[]"),
        ("identifier", ".id"),
        ("email", ".email | ascii_downcase"),
        ("name", "[.first, .last] | map(select(.)) | join(\" \")"),
        ("custom_attributes.tags", ".tags | join(\",\")"),
        ("custom_attributes.tag", "[.tags[] | select(test(\"^[ab]$\"))] | length"),
    ];
    assert!(elements(map(&rules, &body)).iter().all(|element| element.dropped.is_empty() && element.update.is_ok()));
}
