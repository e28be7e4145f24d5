import ChatelaineTokens
import ChatelaineVocabulary
import Testing

@Suite("Tokens, sets of keys")
struct TokenKeySetTests {
  typealias Mint = TokenMint

  private func fault(_ text: String) -> TokenKeySetFault? {
    var bytes = Array(text.utf8)
    do throws(TokenKeySetFault) {
      _ = try TokenKeySet(parsing: &bytes)
      return nil
    } catch { return error }
  }

  private func faultOf(_ keys: String...) -> TokenKeySetFault? { fault(#"{"keys":[\#(keys.joined(separator: ","))]}"#) }

  @Test("Keys for other purposes and of other algorithms are left out (RFC 7517 §5)")
  func ignored() throws {
    let set = try Mint.keySet(Mint.keys)
    #expect(set.keys.map(\.algorithm) == [.rs256, .es256, .edDSA, .hs256] && set.holdsSecret)
    for other in [
      #"{"kty":"RSA","kid":"r","use":"enc","e":"AQAB","n":"AQAB"}"#, #"{"kty":"RSA","kid":"r","alg":"RS512","e":"AQAB"}"#,
      #"{"kty":"EC","kid":"e","crv":"P-384","x":"AA","y":"AA"}"#, #"{"kty":"OKP","crv":"X25519","x":"AA"}"#,
      #"{"kty":"AKP","alg":"ML-DSA-44"}"#, "{}", #"{"kty":"oct","k":"AA","key_ops":["sign"]}"#,
    ] {
      #expect(try Mint.keySet([other, Mint.okp]).keys.map(\.algorithm) == [.edDSA], "\(other)")
      #expect(faultOf(other) == .noKey)
    }
    #expect(try !Mint.keySet([Mint.okp]).holdsSecret)
  }

  @Test("A key that is weak, cut, off its curve or private is refused by its number")
  func refused() {
    #expect(faultOf(Mint.rsa, Mint.ec) == nil, "the control")
    for bad in [
      #"{"kty":"RSA","kid":"w","e":"AQAB","n":"\#(Mint.weakModulus)"}"#,
      #"{"kty":"RSA","kid":"w","e":"Ag","n":"\#(Mint.rsaModulus)"}"#, #"{"kty":"RSA","kid":"w","e":"AQ","n":"\#(Mint.rsaModulus)"}"#,
      #"{"kty":"RSA","kid":"w","e":"AQAB"}"#, #"{"kty":"RSA","kid":"w","e":"AQAB","n":"\#(Mint.rsaModulus)="}"#,
      Mint.ec.replacing(#""x":"4"#, with: #""x":"5"#), Mint.ec.replacing(#""kid":"e","#, with: "").replacing(#","y""#, with: #","z""#),
      #"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#, Mint.oct([UInt8](repeating: 1, count: 31)), Mint.oct([UInt8](repeating: 1, count: 1025)),
    ] { #expect(faultOf(Mint.okp, bad) == .key(number: 2), "\(bad)") }
    #expect(faultOf(Mint.okp, Mint.rsa.replacing("}", with: #","d":"AQAB"}"#)) == .privateKey(number: 2))
    #expect(faultOf(Mint.oct([UInt8](repeating: 1, count: 32))) == nil, "the control")
    #expect(faultOf(Mint.okp, Mint.okp) == .twins(number: 2))
    #expect(faultOf(Mint.okp, Mint.okp.replacing(#""kid":"d""#, with: #""kid":"D""#)) == nil, "the control")
  }

  @Test("What is no set of keys is refused, and one that is too long")
  func malformed() {
    for text in ["", "[]", "{}", #"{"keys":{}}"#, #"{"keys":[7]}"#, #"{"keys":[\#(Mint.okp)]"#, Mint.okp, #"{"keys":[],"keys":[]}"#] {
      if case .malformed = fault(text) {} else { Issue.record("\(text): \(String(describing: fault(text)))") }
    }
    #expect(fault(#"{"keys":[]}"#) == .noKey)
    let many = (0..<65).map { Mint.okp.replacing(#""kid":"d""#, with: #""kid":"d\#($0)""#) }
    #expect(fault(#"{"keys":[\#(many.dropLast().joined(separator: ","))]}"#) == nil, "the control")
    #expect(fault(#"{"keys":[\#(many.joined(separator: ","))]}"#) == .tooManyKeys)
  }
}
