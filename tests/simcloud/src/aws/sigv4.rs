//! AWS Signature Version 4, verified: "Create a signed AWS API request" in the IAM user guide.
//!
//! In scope: signatures in the `Authorization` header. Out of scope: presigned URLs and chunked bodies, which none
//! of these services takes.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::clock::{Millis, parse_basic};
use crate::http::Asked;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far clocks may be apart.
const MOST_SKEW_MS: i64 = 5 * 60_000;

/// What a request says of who signed it, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The access key id.
    pub key: String,
    /// `yyyymmdd`.
    pub date: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// `ec2`, `sts`, `pricing`.
    pub service: String,
    /// Names of the headers that are signed, in order.
    pub headers: Vec<String>,
    /// In hexadecimal.
    pub signature: String,
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// It is not the one that the secret key makes.
    Signature,
    /// It was made too long ago, or in the future.
    Time,
}

/// Reads the `Authorization` header.
pub fn read(asked: &Asked) -> Option<Signed> {
    let text = asked.header("authorization")?.strip_prefix(ALGORITHM)?;
    let mut signed = Signed {
        key: String::new(),
        date: String::new(),
        region: String::new(),
        service: String::new(),
        headers: Vec::new(),
        signature: String::new(),
    };
    for part in text.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        match name {
            "Credential" => {
                let scope: Vec<&str> = value.split('/').collect();
                let [key, date, region, service, "aws4_request"] = scope.as_slice() else {
                    return None;
                };
                signed.key = (*key).to_owned();
                signed.date = (*date).to_owned();
                signed.region = (*region).to_owned();
                signed.service = (*service).to_owned();
            }
            "SignedHeaders" => signed.headers = value.split(';').map(str::to_owned).collect(),
            "Signature" => signed.signature = value.to_owned(),
            _ => return None,
        }
    }
    let is_whole = !signed.key.is_empty() && !signed.signature.is_empty();
    is_whole.then_some(signed)
}

/// Whether the secret key made this signature, for this request, now.
///
/// # Errors
/// Why it does not count.
pub fn verify(asked: &Asked, signed: &Signed, secret: &str, now: Millis) -> Result<(), Bad> {
    let time = asked.header("x-amz-date").unwrap_or_default();
    let at = parse_basic(time).ok_or(Bad::Signature)?;
    let is_signed = |name: &str| signed.headers.iter().any(|known| known == name);
    // What is not signed could be changed on the way.
    let must = ["host", "x-amz-date"].into_iter();
    let all = must.chain(
        ["x-amz-security-token", "x-amz-target"]
            .into_iter()
            .filter(|name| asked.header(name).is_some()),
    );
    if !all.into_iter().all(is_signed) || !time.starts_with(&signed.date) {
        return Err(Bad::Signature);
    }
    let expected = signature(asked, signed, secret, time);
    if expected != signed.signature {
        return Err(Bad::Signature);
    }
    if (now - at).abs() > MOST_SKEW_MS {
        return Err(Bad::Time);
    }
    Ok(())
}

/// The signature that the secret key makes of a request, in hexadecimal.
pub fn signature(asked: &Asked, signed: &Signed, secret: &str, time: &str) -> String {
    let scope = format!(
        "{}/{}/{}/aws4_request",
        signed.date, signed.region, signed.service
    );
    let request = hex(&Sha256::digest(canonical(asked, signed)));
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{request}");
    let chain = [
        signed.date.as_str(),
        &signed.region,
        &signed.service,
        "aws4_request",
    ];
    let first = format!("AWS4{secret}").into_bytes();
    let key = chain
        .iter()
        .fold(first, |key, part| mac(&key, part.as_bytes()));
    hex(&mac(&key, to_sign.as_bytes()))
}

fn canonical(asked: &Asked, signed: &Signed) -> String {
    let mut query: Vec<&str> = asked
        .query
        .split('&')
        .filter(|part| !part.is_empty())
        .collect();
    query.sort_unstable();
    let header = |name: &String| {
        let value = asked.header(name).unwrap_or_default();
        let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
        format!("{name}:{}\n", words.join(" "))
    };
    let headers: String = signed.headers.iter().map(header).collect();
    let body = hex(&Sha256::digest(&asked.body));
    let path = if asked.path.is_empty() {
        "/"
    } else {
        &asked.path
    };
    format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{body}",
        asked.method,
        query.join("&"),
        signed.headers.join(";"),
    )
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const NOW: &str = "20261120T120000Z";

    /// Signed by botocore's own signer at that time, with the key of AWS's examples.
    const SIGNED_BY_BOTOCORE: [(&str, &str, &str, &str); 7] = [
        (
            "ec2",
            "us-east-1",
            "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2",
            "26dd2e3497e95e21d8d2736c8c7d7e0695ea43353a1af948a2707199f5e134bc",
        ),
        (
            "ec2",
            "eu-west-1",
            "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Aapp&Filter.1.Value.1=x&Filter.2.Name=instance-state-name&Filter.2.Value.1=pending&Filter.2.Value.2=running&MaxResults=100",
            "a695b0bf626ee8937bfb919ad6a561e271f48ebc6f9cb56533a32180bcb1ca3d",
        ),
        (
            "ec2",
            "us-east-1",
            "Action=DescribeInstanceTypeOfferings&Version=2016-11-15&LocationType=availability-zone&Filter.1.Name=instance-type&Filter.1.Value.1=g6.xlarge&Filter.1.Value.2=p5.%2A",
            "a35aa6f7ef2d11895c541443e37b649bffaf5f732ef43ad11186afc7f1626473",
        ),
        (
            "ec2",
            "us-east-1",
            "Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=a&Tag.1.Value=b",
            "e0209b2461301b0a0ec0158f12c8f3e87bdca486864923ccf0639e8428cc2a14",
        ),
        (
            "ec2",
            "us-east-1",
            "Action=DescribeRegions&Version=2016-11-15&AllRegions=false",
            "2783bbfe131a328169296b5e23ba3fce203bde24b3112a231fb6d4ee21f8c125",
        ),
        (
            "sts",
            "us-east-1",
            "Action=GetCallerIdentity&Version=2011-06-15",
            "3207f7f60a2c1d18fecd5f4964581cfd22438bf8f41974dd4df4b10f8be9883d",
        ),
        (
            "pricing",
            "us-east-1",
            "{\"ServiceCode\": \"AmazonEC2\", \"FormatVersion\": \"aws_v1\", \"MaxResults\": 100, \"Filters\": [{\"Type\": \"TERM_MATCH\", \"Field\": \"instanceType\", \"Value\": \"g6.xlarge\"}]}",
            "47d927a1bf2aca3b08e6836beae7bdc962f7b6468ec6a489a3a06f1dda99c1d9",
        ),
    ];

    fn asked(service: &str, region: &str, body: &str, signature: &str) -> Asked {
        let mut asked = Asked {
            method: String::from("POST"),
            path: String::from("/"),
            body: body.as_bytes().to_vec(),
            ..Asked::default()
        };
        let mut names = vec!["content-type", "host", "x-amz-date"];
        let mut put = |name: &str, value: &str| {
            asked.headers.insert(name.to_owned(), value.to_owned());
        };
        put("x-amz-date", NOW);
        if service == "pricing" {
            put("content-type", "application/x-amz-json-1.1");
            put("host", "api.pricing.us-east-1.amazonaws.com");
            put("x-amz-target", "AWSPriceListService.GetProducts");
            names.push("x-amz-target");
        } else {
            put(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            );
            put("host", &format!("{service}.{region}.amazonaws.com"));
        }
        if service == "sts" {
            put("x-amz-security-token", "TOKEN/EXAMPLE==");
            names.push("x-amz-security-token");
        }
        let names = names.join(";");
        put(
            "authorization",
            &format!(
                "{ALGORITHM} Credential=AKIDEXAMPLE/20261120/{region}/{service}/aws4_request, SignedHeaders={names}, Signature={signature}"
            ),
        );
        asked
    }

    fn verdict(asked: &Asked, secret: &str, now: Millis) -> Result<(), Bad> {
        verify(asked, &read(asked).unwrap(), secret, now)
    }

    #[test]
    fn what_botocore_signs_is_good() {
        let now = parse_basic(NOW).unwrap();
        for (service, region, body, signature) in SIGNED_BY_BOTOCORE {
            let asked = asked(service, region, body, signature);
            assert_eq!(verdict(&asked, SECRET, now), Ok(()), "{body}");
            assert_eq!(verdict(&asked, "another", now), Err(Bad::Signature));
            assert_eq!(
                verdict(&asked, SECRET, now + MOST_SKEW_MS + 1),
                Err(Bad::Time)
            );
            assert_eq!(
                verdict(&asked, SECRET, now - MOST_SKEW_MS - 1),
                Err(Bad::Time)
            );
        }
    }

    #[test]
    fn whatever_is_changed_or_not_signed_is_bad() {
        let now = parse_basic(NOW).unwrap();
        let (service, region, body, signature) = SIGNED_BY_BOTOCORE[0];
        let good = asked(service, region, body, signature);
        let mut body = good.clone();
        body.body.push(b' ');
        let mut host = good.clone();
        host.headers
            .insert(String::from("host"), String::from("ec2.x"));
        let mut token = good.clone();
        token
            .headers
            .insert(String::from("x-amz-security-token"), String::from("t"));
        for changed in [body, host, token] {
            assert_eq!(verdict(&changed, SECRET, now), Err(Bad::Signature));
        }
    }
}
