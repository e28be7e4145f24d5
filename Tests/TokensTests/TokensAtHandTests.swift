import ChatelaineTokens
import ChatelaineVocabulary
import Testing

@Suite("Tokens at hand")
struct TokensAtHandTests {
  typealias Mint = TokenMint

  private func judge(_ tokens: TokensAtHand, _ token: String, now: UInt64 = Mint.now) -> ShownToken {
    let bytes = Array(token.utf8)
    return tokens.judge(bytes.span, now: now)
  }

  private func isGood(_ shown: ShownToken) -> Bool { if case .good = shown { true } else { false } }

  @Test("A token is verified once, and is none from the second on in which it ends")
  func once() throws {
    let tokens = TokensAtHand(try Mint.rules())
    for _ in 0..<5 { #expect(isGood(judge(tokens, Mint.rs256))) }
    #expect(tokens.verifiedCount == 1)
    #expect(isGood(judge(tokens, Mint.rs256, now: 1_700_000_629)))
    #expect(judge(tokens, Mint.rs256, now: 1_700_000_630) == .bad(.expired))
    #expect(tokens.verifiedCount == 1)
  }

  @Test("New rules forget every token: one whose key is gone is none")
  func reload() throws {
    let tokens = TokensAtHand(try Mint.rules())
    #expect(isGood(judge(tokens, Mint.token())) && isGood(judge(tokens, Mint.rs256)))
    tokens.take(try Mint.rules([Mint.rsa]))
    #expect(judge(tokens, Mint.token()) == .bad(.key))
    #expect(isGood(judge(tokens, Mint.rs256)), "the control")
    tokens.take(.none)
    #expect(judge(tokens, Mint.rs256) == .none, "where none is looked at, any is like none")
  }

  @Test("Memory is bounded: the oldest goes first, and bad tokens push out no good one")
  func bounds() throws {
    let tokens = TokensAtHand(try Mint.rules(), goodMax: 4, badMax: 2)
    let several = (0..<5).map { Mint.token(Mint.header, Mint.claims(#""jti":"\#($0)""#)) }
    for token in several.prefix(4) { #expect(isGood(judge(tokens, token))) }
    for number in 0..<100 { #expect(judge(tokens, "a.b.\(number)") == .bad(.malformed)) }
    #expect(tokens.verifiedCount == 104)
    for token in several.prefix(4) { #expect(isGood(judge(tokens, token))) }
    #expect(tokens.verifiedCount == 104, "all four are at hand")
    #expect(isGood(judge(tokens, several[4])))
    for token in several.dropFirst() { #expect(isGood(judge(tokens, token))) }
    #expect(tokens.verifiedCount == 105)
    #expect(isGood(judge(tokens, several[0])))
    #expect(tokens.verifiedCount == 106, "the oldest had gone")
    _ = judge(tokens, "a.b.99")
    #expect(tokens.verifiedCount == 106, "a bad one is remembered too")
  }

  @Test("A token that is not good yet is good later")
  func later() throws {
    let tokens = TokensAtHand(try Mint.rules())
    #expect(judge(tokens, Mint.token(), now: 1_699_999_000) == .bad(.notYet))
    #expect(isGood(judge(tokens, Mint.token())))
  }

  @Test("Authorization is Bearer, in any letters, and a token (RFC 6750 §2.1)")
  func scheme() throws {
    let tokens = TokensAtHand(try Mint.rules())
    func judge(_ value: String) -> ShownToken {
      let bytes = Array(value.utf8)
      return tokens.judge(authorization: bytes.span, now: Mint.now)
    }
    for scheme in ["Bearer ", "bearer ", "BEARER  "] { #expect(isGood(judge(scheme + Mint.es256))) }
    for scheme in ["", "Bearer", "Basic ", "Bearer\t", " Bearer ", "BearerX "] { #expect(judge(scheme + Mint.es256) == .bad(.scheme)) }
    #expect(judge("Bearer ") == .bad(.malformed) && judge("") == .bad(.scheme))
    #expect(judge("Bearer \(Mint.es256) \(Mint.es256)") == .bad(.malformed))
    tokens.take(.none)
    #expect(judge("Basic x") == .none)
  }
}
