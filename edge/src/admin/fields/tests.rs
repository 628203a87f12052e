use super::*;

fn fields(body: &str) -> Fields {
    Fields::read(body.as_bytes()).unwrap()
}

fn code(error: ApiError) -> (Option<String>, Option<String>) {
    let envelope = error.envelope();
    let text = |part: &Option<std::borrow::Cow<'static, str>>| part.as_deref().map(str::to_owned);
    (text(&envelope.code), text(&envelope.param))
}

fn is(code: &str, param: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(code.to_owned()), param.map(str::to_owned))
}

#[test]
fn a_body_is_one_json_object_without_repeated_fields() {
    for body in [
        "{",
        "[]",
        "\"sk-secret\"",
        "{} {}",
        "nonsense",
        "\u{feff}{}",
    ] {
        let refused = Fields::read(body.as_bytes()).unwrap_err();
        assert!(!refused.envelope().message.contains("sk-secret"));
        assert_eq!(code(refused), is("invalid_json", None), "{body}");
    }
    assert_eq!(
        code(Fields::read(b"\xff").unwrap_err()),
        is("invalid_json", None)
    );
    let twice = Fields::read(br#"{"a":1,"a":2}"#).unwrap_err();
    assert_eq!(code(twice), is("duplicate_parameter", Some("a")));
    assert!(fields("").finish("none").is_ok());
}

#[test]
fn a_body_that_nests_without_end_is_refused_and_not_followed() {
    let deep = format!(r#"{{"metadata":{}"#, "[".repeat(500_000));
    assert_eq!(
        code(Fields::read(deep.as_bytes()).unwrap_err()),
        is("invalid_json", None)
    );
    let deep = format!(
        r#"{{"metadata":{{"a":{}{}}}}}"#,
        "[".repeat(9_000),
        "]".repeat(9_000)
    );
    let refused = Fields::read(deep.as_bytes()).and_then(|mut fields| fields.object("metadata"));
    assert!(refused.is_err());
}

#[test]
fn wrong_types_name_the_field_and_never_its_value() {
    let mut body = fields(r#"{"a":7,"b":"sk-secret","c":1.0,"d":300,"e":-1,"f":[1],"g":{"x":-1}}"#);
    assert_eq!(
        code(body.text("a").unwrap_err()),
        is("invalid_type", Some("a"))
    );
    let refused = body.number::<u32>("b", 0..=9).unwrap_err();
    assert!(!refused.envelope().message.contains("secret"));
    assert_eq!(code(refused), is("invalid_type", Some("b")));
    assert_eq!(
        code(body.number::<u32>("c", 0..=9).unwrap_err()),
        is("invalid_type", Some("c"))
    );
    assert_eq!(
        code(body.number::<u8>("d", 0..=255).unwrap_err()),
        is("invalid_value", Some("d"))
    );
    assert_eq!(
        code(body.number::<u8>("e", 0..=255).unwrap_err()),
        is("invalid_value", Some("e"))
    );
    assert_eq!(
        code(body.texts("f").unwrap_err()),
        is("invalid_type", Some("f"))
    );
    assert_eq!(
        code(body.numbers("g").unwrap_err()),
        is("invalid_type", Some("g"))
    );
}

#[test]
fn null_is_absent_or_a_removal_as_the_route_says() {
    let body = r#"{"owner":null}"#;
    assert_eq!(fields(body).without_nulls().text("owner"), Ok(None));
    assert_eq!(fields(body).text_or_null("owner"), Ok(Some(None)));
    assert!(fields(body).text("owner").is_err());
    assert_eq!(
        fields(r#"{"owner":"a"}"#).text_or_null("owner"),
        Ok(Some(Some("a".to_owned())))
    );
}

#[test]
fn what_no_getter_takes_is_unknown() {
    let mut body = fields(r#"{"name":"a","nmae":"b"}"#);
    assert_eq!(body.required_text("name").as_deref(), Ok("a"));
    assert_eq!(
        code(body.finish("name").unwrap_err()),
        is("invalid_value", Some("nmae"))
    );
    let absent = fields("{}").required_text("name").unwrap_err();
    assert_eq!(code(absent), is("missing_required_parameter", Some("name")));
}

#[test]
fn fields_within_a_field_are_read_as_strictly_and_named_with_it() {
    let mut body =
        fields(r#"{"s":{"a":1,"b":{"c":"x"}},"l":[{"d":true},{"d":2}],"n":7,"t":{"a":1,"a":2}}"#);
    let mut inner = body.inner("s").unwrap().unwrap();
    assert_eq!(
        code(inner.number::<u8>("a", 2..=3).unwrap_err()),
        is("invalid_value", Some("s.a"))
    );
    let deeper = inner.inner("b").unwrap().unwrap();
    assert_eq!(
        code(deeper.finish("d").unwrap_err()),
        is("invalid_value", Some("s.b.c"))
    );
    let absent = inner.required_text("e").unwrap_err();
    assert_eq!(code(absent), is("missing_required_parameter", Some("s.e")));
    let mut list = body.inner_list("l").unwrap().unwrap();
    assert_eq!(list[0].switch("d"), Ok(Some(true)));
    assert_eq!(
        code(list[1].switch("d").unwrap_err()),
        is("invalid_type", Some("l[1].d"))
    );
    assert_eq!(
        code(body.inner("n").unwrap_err()),
        is("invalid_type", Some("n"))
    );
    assert_eq!(
        code(body.inner("t").unwrap_err()),
        is("duplicate_parameter", Some("t.a"))
    );
    assert!(matches!(body.inner("absent"), Ok(None)));
    assert_eq!(
        code(fields(r#"{"l":[1]}"#).inner_list("l").unwrap_err()),
        is("invalid_type", Some("l[0]"))
    );
}

#[test]
fn an_object_of_texts_is_taken_whole() {
    let body = |text| fields(text).inner("c").unwrap().unwrap();
    let pair = |value: &str| [("a".to_owned(), value.to_owned())].into();
    assert_eq!(body(r#"{"c":{"a":"b"}}"#).into_texts(), Ok(pair("b")));
    let refused = body(r#"{"c":{"a":"sk-secret","b":7}}"#).into_texts();
    assert_eq!(code(refused.unwrap_err()), is("invalid_type", Some("c.b")));
    let nulls = body(r#"{"c":{"a":null}}"#).into_texts_or_nulls();
    assert_eq!(nulls, Ok([("a".to_owned(), None)].into()));
}

#[test]
fn dollars_are_exact() {
    let mut body = fields(r#"{"a":0.1,"b":"1.25","c":"x"}"#);
    assert_eq!(body.dollars("a"), Ok(Some(100_000)));
    assert_eq!(body.dollars("b"), Ok(Some(1_250_000)));
    assert_eq!(
        code(body.dollars("c").unwrap_err()),
        is("invalid_value", Some("c"))
    );
    assert_eq!(body.dollars("d"), Ok(None));
}
