import ChatelaineTokens
import ChatelaineVocabulary
import Testing

/// Vectors of the RFCs: a key, what is signed, the signature.
@Suite("Tokens, vectors of the RFCs")
struct TokenVectorTests {
  struct Vector: Sendable, CustomTestStringConvertible {
    let name: String
    let key: String
    let signed: String
    let signature: String
    var testDescription: String { name }
  }

  private static let joe =
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

  static let vectors = [
    Vector(
      name: "RFC 7515 A.1, HS256",
      key:
        #"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
      signed: "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" + joe,
      signature: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    Vector(
      name: "RFC 7515 A.2, RS256",
      key: #"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPC"#
        + "JrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHS"
        + "XndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXF"
        + #"vUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
      signed: "eyJhbGciOiJSUzI1NiJ9" + joe,
      signature: "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGb"
        + "ds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRm"
        + "B_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqV"
        + "t5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"),
    Vector(
      name: "RFC 7515 A.3, ES256",
      key:
        #"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
      signed: "eyJhbGciOiJFUzI1NiJ9" + joe,
      signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
    Vector(
      name: "RFC 8037 A.4, EdDSA",
      key: #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
      signed: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
      signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
  ]

  @Test("A signature holds for what was signed, and for nothing else", arguments: vectors)
  func signatures(_ vector: Vector) throws {
    var file = Array(#"{"keys":[\#(vector.key)]}"#.utf8)
    let set = try TokenKeySet(parsing: &file)
    let key = try #require(set.keys.first)
    #expect(file.allSatisfy { $0 == 0 }, "the file's bytes are erased")
    let signed = Array(vector.signed.utf8)
    let signature = try #require(TokenMint.bytes(vector.signature))
    func holds(_ signature: [UInt8], _ signed: [UInt8]) -> Bool { key.isValid(signature: signature.span, of: signed.span) }
    #expect(holds(signature, signed), "the control")
    for place in [0, signed.count / 2, signed.count - 1] {
      var other = signed
      other[place] ^= 1
      #expect(!holds(signature, other))
    }
    for place in signature.indices where place % 7 == 0 {
      var other = signature
      other[place] ^= 1
      #expect(!holds(other, signed))
    }
    for other in [[], Array(signature.dropLast()), signature + [0], [UInt8](repeating: 0, count: signature.count)] {
      #expect(!holds(other, signed))
    }
  }

  @Test("What base64url writes it reads, and no other text (RFC 7515 §2, §C)")
  func base64url() {
    for count in 0..<70 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 251) }
      #expect(TokenMint.bytes(TokenMint.text(bytes)) == bytes)
    }
    for text in ["A", "AB+/", "AA==", "AB", "AAB", "A A", "AAAA=", "\u{e4}AAA", "AAAAA"] {
      #expect(TokenMint.bytes(text) == nil, "\(text)")
    }
  }
}
