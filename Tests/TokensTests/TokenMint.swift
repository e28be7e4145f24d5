import ChatelainePrimitives
import ChatelaineTokens
import ChatelaineVocabulary

/// An issuer of tokens for tests: makes those of HS256 and EdDSA, and has one each of RS256 and ES256.
enum TokenMint {
  static let now: UInt64 = 1_700_000_100
  static let issuer = "https://id.acme.example"

  static let secret = Array("an HS256 secret of 32 bytes or more".utf8)
  static let seed = [UInt8](repeating: 7, count: 32)

  /// Keys `r` (RS256), `e` (ES256), `d` (EdDSA), `h` (HS256).
  static let keys = [rsa, ec, okp, oct(secret)]
  static let rsaModulus =
    "1mi1GWMzbLqJImOfWuTTCmIyHyN_qGPRSAht_qM6C-fD-nxoda1sTyAB0t1eSiZJgaYOC-57f8lkJA0bqozsOfldeDFYvMiGlhqo"
    + "HIVWltZT15aEIeiOiL5m0z0b2SnvvywdyaKA8zxJkliXy4X24e6dHcdPGElD4bKDlWx69rvlzYzfcxasUeI3E_ppPZb_7dAGYisd"
    + "V8pmCsIsd23OqSY1yLSCEa8YXa3ww6NzuCYJycRohg2tHnuaMA9y02tPHpfYHj25h2LvCcYkz65THucFgFiZ-tvvY5ynbaj1RwyM"
    + "ThwoLy3bKmUtNW5x2Hkr4TgmzYBEPa90HoVY5p7Mzw"
  static let rsa = #"{"kty":"RSA","kid":"r","e":"AQAB","n":"\#(rsaModulus)"}"#
  static let ec =
    #"{"kty":"EC","kid":"e","crv":"P-256","x":"4Gj-UW5PC8HRAUTluxkDd3TSno_w2T5XyGyFyqXc8Es","#
    + #""y":"WXTSoSG7l4wB5Jd0dBjBtE6efkO-EPUPOI9QNZQefaA"}"#
  static let okp = #"{"kty":"OKP","kid":"d","crv":"Ed25519","x":"\#(text(seed.span.withRawSpan { Ed25519.publicKey(of: $0) }))"}"#
  static let weakModulus =
    "umaVrr3_JqvAhCnNyvpiRDDACR8ok3y4tQDSxfUesFMcQfCbVT2I3lpAI6Z-CV9qFWTuO3xSP7QSbI6JYd3j3XbfVawVIE5M4YNX"
    + "rBSj6qw8L3TjSuyI_CqhPe36ikUiOrlQdYuX5gSobzo33dcLL33tupyWwV3minKUshn8-NE"
  static let rsaPEM = """
    -----BEGIN PUBLIC KEY-----
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1mi1GWMzbLqJImOfWuTT
    CmIyHyN/qGPRSAht/qM6C+fD+nxoda1sTyAB0t1eSiZJgaYOC+57f8lkJA0bqozs
    OfldeDFYvMiGlhqoHIVWltZT15aEIeiOiL5m0z0b2SnvvywdyaKA8zxJkliXy4X2
    4e6dHcdPGElD4bKDlWx69rvlzYzfcxasUeI3E/ppPZb/7dAGYisdV8pmCsIsd23O
    qSY1yLSCEa8YXa3ww6NzuCYJycRohg2tHnuaMA9y02tPHpfYHj25h2LvCcYkz65T
    HucFgFiZ+tvvY5ynbaj1RwyMThwoLy3bKmUtNW5x2Hkr4TgmzYBEPa90HoVY5p7M
    zwIDAQAB
    -----END PUBLIC KEY-----
    

    """
  /// Good from 1,700,000,000 to 1,700,000,600, for acme, of alice.
  static let rs256 =
    "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5hY21lLmV4YW1wbGUiLCAiYXVkIjogImNoY"
    + "XRlbGFpbmUiLCAic3ViIjogImFsaWNlIiwgInRlbmFudCI6ICJhY21lIiwgImlhdCI6IDE3MDAwMDAwMDAsICJleHAiOiAxNzAwM"
    + "DAwNjAwfQ.DZaHE_UCzIjqdG8er1ElDvSjS3KwTupjg39wM6gpRDFZppPnZA37mh_mDK2qH7xJHeotsXN8PbuBAkw_JJGjA3_FOY"
    + "OdtcKhIB5VHfWaM52H-na9iGxb_Ulr3EsabRm1cYIrMqpDQik3AEV0iICErqNrSjTb9zuUMTnOhDsyLywPJ-FIwZJPVBZj6kU4ZC"
    + "YqZay5iirHp6wtaapGBmarUDqpNHhtu-hrUOCpOHc3fwEMxtLKpw929SADS67ahOfNmN1koiWhkpInH4CZ2TM4-K8C1o9bvFvBJe"
    + "F2iY0BsQB8qThG05j6J3PNemNHaME84RYe8D4v9hFu_I8Uz_Oljg"
  static let es256 =
    "eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImUifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5hY21lLmV4YW1wbGUiLCAiYXVkIjogImNoY"
    + "XRlbGFpbmUiLCAic3ViIjogImFsaWNlIiwgInRlbmFudCI6ICJhY21lIiwgImlhdCI6IDE3MDAwMDAwMDAsICJleHAiOiAxNzAwM"
    + "DAwNjAwfQ.K5XoOJr7FOWg0tnxC6blMdiXpGCfzfoNk69gMVh-3thTenZoSkZ_0vCnAoBbgsCpgXBkyxIxC8QlNAF49yU4eg"

  static func oct(_ secret: [UInt8], id: String = "h") -> String { #"{"kty":"oct","kid":"\#(id)","k":"\#(text(secret))"}"# }

  static func bytes(_ text: String) -> [UInt8]? { Base64.decodeURL(Array(text.utf8).span) }

  static func text(_ bytes: [UInt8]) -> String { Base64.encodeURL(bytes.span) }

  static func keySet(_ keys: [String]) throws(TokenKeySetFault) -> TokenKeySet {
    var file = Array(#"{"keys":[\#(keys.joined(separator: ","))]}"#.utf8)
    return try TokenKeySet(parsing: &file)
  }

  static func rules(
    _ keys: [String] = keys, leeway: UInt64 = 30, statics: [StaticToken] = []
  ) throws -> TokenRules {
    let issuer = TokenIssuer(
      name: try KeyName("platform"), issuer: Array(issuer.utf8), audiences: [Array("chatelaine".utf8)],
      tenantClaim: "tenant", leewaySeconds: leeway, keys: try keySet(keys))
    return TokenRules(issuers: [issuer], statics: statics)
  }

  static let header = #"{"alg":"EdDSA","kid":"d"}"#

  /// The claims of a good token; `more` stands at their end, `without` is left out.
  static func claims(_ more: String = "", without: String = "") -> String {
    let all = [
      ("iss", #""\#(issuer)""#), ("aud", #""chatelaine""#), ("sub", #""alice""#), ("tenant", #""acme""#),
      ("iat", "1700000000"), ("exp", "1700000600"),
    ]
    let members = all.filter { $0.0 != without }.map { #""\#($0.0)":\#($0.1)"# }
    return "{" + (members + (more.isEmpty ? [] : [more])).joined(separator: ",") + "}"
  }

  /// A token signed with EdDSA by `d`, or by HMAC under `secret`.
  static func token(_ header: String = header, _ claims: String = claims(), secret: [UInt8]? = nil) -> String {
    let signed = text(Array(header.utf8)) + "." + text(Array(claims.utf8))
    let message = Array(signed.utf8)
    let signature =
      if let secret {
        secret.span.withRawSpan { key in
          [UInt8](rawCapacity: 32) { HMACSHA256.authenticate(message.span, key: key, into: &$0) }
        }
      } else { seed.span.withRawSpan { Ed25519.sign(message.span, seed: $0) } }
    return signed + "." + text(signature)
  }
}

extension TokenRules {
  /// Who carries a token, or why it is none.
  func judged(_ token: String, now: UInt64 = TokenMint.now) -> Result<VerifiedToken, TokenFault> {
    let bytes = Array(token.utf8)
    return Result { () throws(TokenFault) in try verify(bytes.span, hash: SHA256.hash(bytes), now: now) }
  }

  func fault(_ token: String, now: UInt64 = TokenMint.now) -> TokenFault? {
    if case .failure(let fault) = judged(token, now: now) { fault } else { nil }
  }
}
