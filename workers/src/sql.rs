//! An object's SQLite as its port: one crossing a statement.
//!
//! Invariant: whatever the engine throws comes back as [`StoreError::Refused`]; nothing is thrown through
//! the machines. Numbers cross as doubles: an integer that a double cannot hold is refused, not rounded.

use js_sys::{Array, ArrayBuffer, Error, Uint8Array};
use tidegate_durable::ports::{Row, Sql, StoreError, Value};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPESCRIPT: &str = r"
export type SqlValue = ArrayBuffer | Uint8Array | string | number | null;
export interface SqlPort {
  /** Runs one statement and returns its rows; throws in the engine's words. */
  exec(statement: string, values: SqlValue[]): SqlValue[][];
}
";

#[wasm_bindgen]
extern "C" {
    /// What the host passes in: its storage, behind one function.
    #[wasm_bindgen(typescript_type = "SqlPort")]
    pub type SqlPort;

    #[wasm_bindgen(method, catch, js_name = exec)]
    fn run(this: &SqlPort, statement: &str, values: Array) -> Result<Array, JsValue>;
}

/// 2^53 - 1, the largest integer that a double holds together with both its neighbours.
const MOST_EXACT: i64 = 9_007_199_254_740_991;

impl Sql for SqlPort {
    fn exec(&self, statement: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let refused = |reason: String| StoreError::Refused {
            statement: statement.to_owned(),
            reason,
        };
        let parameters = Array::new();
        for value in values {
            parameters.push(&outward(value).map_err(refused)?);
        }
        let rows = self
            .run(statement, parameters)
            .map_err(|thrown| refused(words(&thrown)))?;
        let inward_row = |row: JsValue| -> Result<Row, String> {
            Array::from(&row).iter().map(inward).collect()
        };
        rows.iter()
            .map(inward_row)
            .collect::<Result<_, _>>()
            .map_err(refused)
    }
}

fn outward(value: &Value) -> Result<JsValue, String> {
    Ok(match value {
        Value::Null => JsValue::NULL,
        Value::Integer(number) if number.unsigned_abs() > MOST_EXACT.unsigned_abs() => {
            return Err(format!(
                "{number} does not fit a double; store such a number as text"
            ));
        }
        Value::Integer(number) => JsValue::from_f64(*number as f64),
        Value::Real(number) => JsValue::from_f64(*number),
        Value::Text(text) => JsValue::from_str(text),
        Value::Blob(bytes) => Uint8Array::from(bytes.as_slice()).into(),
    })
}

fn inward(value: JsValue) -> Result<Value, String> {
    if let Some(number) = value.as_f64() {
        let whole = number.fract() == 0.0 && number.abs() <= MOST_EXACT as f64;
        return Ok(if whole {
            Value::Integer(number as i64)
        } else {
            Value::Real(number)
        });
    }
    if let Some(text) = value.as_string() {
        return Ok(Value::Text(text));
    }
    if value.is_null() {
        return Ok(Value::Null);
    }
    if value.is_instance_of::<ArrayBuffer>() {
        return Ok(Value::Blob(Uint8Array::new(&value).to_vec()));
    }
    Err("a column holds what is no value of SQLite's".to_owned())
}

fn words(thrown: &JsValue) -> String {
    let error = thrown.dyn_ref::<Error>();
    error.map_or_else(
        || "without a reason".to_owned(),
        |error| String::from(error.message()),
    )
}
