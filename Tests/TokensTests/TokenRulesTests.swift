import ChatelainePrimitives
import ChatelaineTokens
import ChatelaineVocabulary
import Testing

/// Every attack of RFC 8725 §2 and more, each beside a control: the same token unspoilt is accepted.
@Suite("Tokens, verified")
struct TokenRulesTests {
  typealias Mint = TokenMint
  let rules: TokenRules
  init() throws { rules = try Mint.rules() }

  @Test("A token of each algorithm says who carries it, for which tenants, and until when")
  func good() throws {
    let hs = Mint.token(#"{"alg":"HS256","kid":"h","typ":"JWT"}"#, secret: Mint.secret)
    for token in [Mint.rs256, Mint.es256, Mint.token(), hs] {
      let verified = try rules.judged(token).get()
      let acme = try TenantID("acme")
      #expect(verified.bearer == Bearer(name: try KeyName("platform"), tenants: [acme], subject: Array("alice".utf8)))
      #expect(verified.end == 1_700_000_630 && verified.bearer.isFor(acme))
      #expect(String(decoding: verified.note, as: UTF8.self) == "token=platform/alice")
      #expect(try !verified.bearer.isFor(TenantID("acme2")) && !verified.bearer.isFor(TenantID("acm")))
    }
  }

  @Test("alg none is no algorithm, in whatever letters, with a signature or without one (RFC 8725 §3.1)")
  func none() {
    #expect(rules.fault(Mint.token()) == nil, "the control")
    for name in ["none", "None", "NONE", "nOnE", "", "EdDSA ", "eddsa", "HS384", "RS512", "PS256", "ES256K"] {
      let token = Mint.token(#"{"alg":"\#(name)","kid":"d"}"#)
      #expect(rules.fault(token) == .algorithm, "\(name)")
      let unsigned = token.split(separator: ".").prefix(2).joined(separator: ".") + "."
      #expect(rules.fault(unsigned) == .algorithm, "\(name)")
    }
    #expect(rules.fault(Mint.token(#"{"kid":"d"}"#)) == .algorithm)
    #expect(rules.fault(Mint.token().split(separator: ".").prefix(2).joined(separator: ".") + ".") == .signature)
  }

  @Test("A public key is no secret of HMAC, in none of its spellings (RFC 8725 §2.1)")
  func confusion() throws {
    let header = #"{"alg":"HS256","kid":"r"}"#
    let modulus = try #require(Mint.bytes(Mint.rsaModulus))
    let spellings = [
      Array(Mint.rsaPEM.utf8), Array(Mint.rsaPEM.utf8.dropLast()), modulus, Array(Mint.rsa.utf8), Array(Mint.rsaModulus.utf8),
    ]
    for spelling in spellings {
      let token = Mint.token(header, secret: spelling)
      #expect(rules.fault(token) == .key)
      #expect(rules.fault(Mint.token(#"{"alg":"HS256"}"#, secret: spelling)) == .signature)
      let believing = try Mint.rules([Mint.oct(spelling, id: "r")])
      #expect(believing.fault(token) == nil, "the control: the token is good for who takes these bytes for a secret")
    }
    #expect(rules.fault(Mint.rs256) == nil, "the control")
  }

  @Test("The algorithm is the key's: each header but its own is refused")
  func algorithms() {
    for algorithm in ["RS256", "ES256", "EdDSA", "HS256"] {
      for (id, own) in [("r", "RS256"), ("e", "ES256"), ("d", "EdDSA"), ("h", "HS256")] where own != algorithm {
        #expect(rules.fault(Mint.token(#"{"alg":"\#(algorithm)","kid":"\#(id)"}"#)) == .key)
      }
    }
    #expect(rules.fault(Mint.token()) == nil, "the control")
  }

  @Test("A kid means its own key; without one, the only key of the algorithm")
  func keyIDs() throws {
    let other = #"{"kty":"OKP","kid":"other","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
    let two = try Mint.rules([Mint.okp, other])
    #expect(two.fault(Mint.token()) == nil, "the control")
    #expect(two.fault(Mint.token(#"{"alg":"EdDSA","kid":"other"}"#)) == .signature)
    #expect(two.fault(Mint.token(#"{"alg":"EdDSA"}"#)) == .key, "two may be meant")
    #expect(rules.fault(Mint.token(#"{"alg":"EdDSA"}"#)) == nil, "one is")
    for id in ["", "D", "d ", "../d", "d\\u0000", String(repeating: "d", count: 256)] {
      #expect(rules.fault(Mint.token(#"{"alg":"EdDSA","kid":"\#(id)"}"#)) == .key, "\(id)")
    }
    #expect(rules.fault(Mint.token(#"{"alg":"EdDSA","kid":"\#(String(repeating: "d", count: 257))"}"#)) == .malformed)
    #expect(rules.fault(Mint.token(#"{"alg":"EdDSA","kid":7}"#)) == .malformed)
  }

  @Test("A header that brings a key along, or is to be read otherwise, is refused (RFC 8725 §3.10, RFC 7515 §4.1.11)")
  func headers() {
    let brought = #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
    for member in [
      #""crit":["exp"]"#, #""b64":false"#, #""jku":"https://evil.example/keys""#, #""jwk":\#(brought)"#,
      #""x5u":"file:///etc/passwd""#, #""x5c":["AA=="]"#, #""zip":"DEF""#, #""cty":"JWT""#, #""typ":"secevent+jwt""#,
      #""\u006aku":"https://evil.example/keys""#,
    ] {
      #expect(rules.fault(Mint.token(#"{"alg":"EdDSA","kid":"d",\#(member)}"#)) == .header, "\(member)")
    }
    for member in [#""typ":"JWT""#, #""typ":"at+jwt""#, #""typ":"application/jwt""#, #""x5t":"AA""#, #""own":{"a":[1]}"#] {
      #expect(rules.fault(Mint.token(#"{"alg":"EdDSA","kid":"d",\#(member)}"#)) == nil, "the control: \(member)")
    }
  }

  @Test("r ‖ s that is no signature of the curve is none: zeros, the order, another form, another length")
  func curve() throws {
    let parts = Mint.es256.split(separator: ".").map(String.init)
    let signature = try #require(Mint.bytes(parts[2]))
    let (r, s) = (Array(signature[..<32]), Array(signature[32...]))
    let zero = [UInt8](repeating: 0, count: 32)
    let order: [UInt8] =
      [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0] + [UInt8](repeating: 0xff, count: 8)
      + [0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51]
    let der = [0x30, 0x44, 0x02, 0x20] + r + [0x02, 0x20] + s
    func fault(_ signature: [UInt8]) -> TokenFault? { rules.fault(parts[0] + "." + parts[1] + "." + Mint.text(signature)) }
    #expect(fault(r + s) == nil, "the control")
    for other in [
      zero + zero, zero + s, r + zero, r + order, order + s, s + r, r, r + s + [0], [0] + r + [0] + s, der, Array(r + s.dropLast()),
    ] { #expect(fault(other) == .signature) }
  }

  @Test("Names that stand twice, however they are written, and JSON that is none, are refused")
  func duplicates() {
    for more in [
      #""tenant":"beta""#, #""\u0074enant":"beta""#, #""exp":1900000000"#, #""iss":"https://evil.example""#, #""x":1,"x":1"#,
    ] { #expect(rules.fault(Mint.token(Mint.header, Mint.claims(more))) == .malformed, "\(more)") }
    #expect(rules.fault(Mint.token(#"{"alg":"EdDSA","kid":"d","alg":"EdDSA"}"#)) == .malformed)
    for body in [
      "", "null", "[]", "7", "{", Mint.claims() + " x", Mint.claims() + Mint.claims(), "\u{feff}" + Mint.claims(),
      #"{"tenant":"acme",}"#, Mint.claims(#""a":\#(String(repeating: "[", count: 99))"#), Mint.claims(#""a":01"#),
      Mint.claims(#""a":"\ud800""#).replacing("\"sub\":\"alice\"", with: #""sub":"\ud800""#),
    ] { #expect(rules.fault(Mint.token(Mint.header, body)) == .malformed, "\(body)") }
    let nested = #""other":{"tenant":"beta","exp":1,"deep":[[{"tenant":"beta"}]]},"n":-1.5e+3,"t":true,"u":null"#
    #expect(rules.fault(Mint.token(Mint.header, Mint.claims(nested))) == nil, "the control")
    let many = (0..<58).map { #""m\#($0)":0"# }.joined(separator: ",")
    #expect(rules.fault(Mint.token(Mint.header, Mint.claims(many))) == nil, "the control")
    #expect(rules.fault(Mint.token(Mint.header, Mint.claims(many + #","one":0"#))) == .malformed)
  }

  @Test("A time before and after which a token is none, to the second, with its leeway; and numbers that are no times")
  func times() throws {
    let token = Mint.token()
    let sharp = try Mint.rules(leeway: 0)
    #expect(rules.fault(token, now: 1_700_000_629) == nil && rules.fault(token, now: 1_700_000_630) == .expired)
    #expect(sharp.fault(token, now: 1_700_000_599) == nil && sharp.fault(token, now: 1_700_000_600) == .expired)
    #expect(rules.fault(token, now: 1_699_999_970) == nil && rules.fault(token, now: 1_699_999_969) == .notYet)
    let later = Mint.token(Mint.header, Mint.claims(#""nbf":1700000200"#))
    #expect(rules.fault(later, now: 1_700_000_170) == nil && rules.fault(later, now: 1_700_000_169) == .notYet)
    #expect(rules.fault(Mint.token(Mint.header, Mint.claims(without: "exp"))) == .expired)
    func exp(_ text: String) -> TokenFault? {
      sharp.fault(Mint.token(Mint.header, Mint.claims(#""exp":\#(text)"#, without: "exp")), now: 1_700_000_600)
    }
    #expect(exp("1700000601") == nil && exp("1700000601.5") == nil && exp("253402300799") == nil, "the control")
    #expect(exp("1700000600.9") == .expired && exp("0") == .expired)
    for text in [
      "253402300800", "18446744073709551616", "18446744073709551615", "9e99", "-1", "1.7e9", #""1700000601""#, "null", "[1700000601]",
      "01700000601", "1700000601.", "Infinity", "true",
    ] { #expect(exp(text) == .malformed, "\(text)") }
    let fraction = Mint.token(Mint.header, Mint.claims(#""nbf":1700000200.1"#))
    #expect(sharp.fault(fraction, now: 1_700_000_200) == .notYet && sharp.fault(fraction, now: 1_700_000_201) == nil)
  }

  @Test("Another issuer, another audience, or none, is refused; of a list one suffices (RFC 8725 §3.8, §3.9)")
  func audiences() {
    func fault(_ name: String, _ value: String) -> TokenFault? {
      rules.fault(Mint.token(Mint.header, Mint.claims(#""\#(name)":\#(value)"#, without: name)))
    }
    #expect(fault("aud", #"["other","chatelaine"]"#) == nil && fault("aud", #""chatelain\u0065""#) == nil, "the control")
    for aud in [#""other""#, #"["other"]"#, "[]", #""Chatelaine""#, #""chatelaine ""#, #""chatelaine,other""#] {
      #expect(fault("aud", aud) == .issuer, "\(aud)")
    }
    #expect(fault("aud", "7") == .malformed && fault("aud", #"[["chatelaine"]]"#) == .malformed)
    #expect(rules.fault(Mint.token(Mint.header, Mint.claims(without: "aud"))) == .issuer)
    for iss in ["https://id.acme.example/", "https://ID.acme.example", "", "https://id.acme.example\\u0000"] {
      #expect(fault("iss", #""\#(iss)""#) == .issuer, "\(iss)")
    }
    #expect(rules.fault(Mint.token(Mint.header, Mint.claims(without: "iss"))) == .issuer)
  }

  @Test("The tenant claim names tenants, one by one: no pattern, no other type, not none")
  func tenants() throws {
    func bearer(_ value: String) -> Result<[String], TokenFault> {
      rules.judged(Mint.token(Mint.header, Mint.claims(#""tenant":\#(value)"#, without: "tenant")))
        .map { $0.bearer.tenants.map(\.rawValue) }
    }
    #expect(bearer(#"["acme","beta"]"#) == .success(["acme", "beta"]), "the control")
    for value in [
      #""*""#, #""acme*""#, #""""#, #""Acme""#, #""_service""#, "[]", #"["acme","*"]"#, "7", "null", "{}", #""acme\u0000""#, #""acme ""#,
      "\"\(String(repeating: "a", count: 65))\"",
    ] { #expect(bearer(value) == .failure(.tenant), "\(value)") }
    #expect(bearer("[7]") == .failure(.malformed))
    let many = (0..<65).map { #""t\#($0)""# }
    #expect(bearer("[\(many.joined(separator: ","))]") == .failure(.malformed))
    #expect(try bearer("[\(many.dropLast().joined(separator: ","))]").get().count == 64, "the control")
    #expect(rules.fault(Mint.token(Mint.header, Mint.claims(without: "tenant"))) == .tenant)
  }

  @Test("What is no token is none, and what is too long is not looked at")
  func garbage() {
    let token = Mint.token()
    for text in ["", ".", "..", "...", "a.b.c", token + ".", "." + token, token + "=", " " + token, token.replacing(".", with: "..")] {
      #expect(rules.fault(text) == .malformed, "\(text)")
    }
    for place in stride(from: 0, to: token.utf8.count, by: 5) {
      var bytes = Array(token.utf8)
      bytes[place] = bytes[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      #expect(rules.fault(String(decoding: bytes, as: UTF8.self)) != nil, "byte \(place)")
    }
    func padded(_ count: Int) -> String { Mint.token(Mint.header, Mint.claims(#""p":"\#(String(repeating: "x", count: count))""#)) }
    #expect(rules.fault(padded(5700)) == nil, "the control")
    #expect(rules.fault(padded(6200)) == .tooLong)
    #expect(rules.fault(Mint.token(Mint.header, Mint.claims(#""sub":"\#(String(repeating: "s", count: 129))""#, without: "sub"))) == .malformed)
  }

  @Test("A static token is known by its hash alone, for its tenants, until it ends")
  func statics() throws {
    let token = "cht_" + Mint.text([UInt8](repeating: 9, count: 32))
    let other = "cht_" + Mint.text([UInt8](repeating: 8, count: 32))
    func known(_ expires: WallTime?) throws -> TokenRules {
      try Mint.rules(statics: [
        StaticToken(name: KeyName("cron"), tenants: [TenantID("acme")], hash: SHA256.hash(Array(token.utf8)), expires: expires),
        StaticToken(name: KeyName("other"), tenants: [TenantID("beta")], hash: SHA256.hash(Array(other.utf8)), expires: nil),
      ])
    }
    #expect(token.utf8.count == StaticToken.byteCount)
    let verified = try known(nil).judged(token).get()
    #expect(try verified.bearer == Bearer(name: KeyName("cron"), tenants: [TenantID("acme")]) && verified.end == .max)
    #expect(try known(nil).judged(other).get().bearer.name.rawValue == "other")
    let ending = try known(WallTime(nanoseconds: 1_700_000_100_000_000_000))
    #expect(ending.fault(token, now: 1_700_000_099) == nil && ending.fault(token, now: 1_700_000_100) == .expired)
    for text in [String(token.dropLast()) + "B", token.uppercased(), "cht_" + String(repeating: "A", count: 43)] {
      #expect(try known(nil).fault(text) == .unknown)
    }
    #expect(try known(nil).fault(SHA256.hash(Array(token.utf8)).hex) == .malformed, "the hash is no token")
    #expect(rules.fault(token) == .unknown)
  }
}
