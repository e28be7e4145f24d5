internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What came of the token of a request.
package enum ShownToken: Sendable, Equatable {
  /// None was shown, or none is looked at here.
  case none
  case good(VerifiedToken)
  /// Whoever shows one may do nothing: a token that is none is a mistake or an attempt, never a wish to do without.
  case bad(TokenFault)

  package var bearer: Bearer? { if case .good(let token) = self { token.bearer } else { nil } }
}

/// The tokens that one thread or event loop has verified, by their hash: a token is verified once and remembered until it ends.
/// Bounded, the oldest go first. No token is kept, no lock taken. Not `Sendable`.
package final class TokensAtHand {
  private var rules: TokenRules
  private var good: BoundedMemory<VerifiedToken>
  /// Apart, so that bad ones push no good ones out.
  private var bad: BoundedMemory<TokenFault>
  /// How many were verified, and not remembered.
  package private(set) var verifiedCount = 0

  package init(
    _ rules: TokenRules, goodMax: Int = Limits.tokensAtHandMax, badMax: Int = Limits.badTokensAtHandMax
  ) {
    self.rules = rules
    good = BoundedMemory(countMax: goodMax)
    bad = BoundedMemory(countMax: badMax)
  }

  /// Whether tokens are looked at.
  package var isOn: Bool { !rules.areNone }

  /// Takes other rules, and forgets every token.
  package func take(_ rules: TokenRules) {
    self.rules = rules
    good.forget()
    bad.forget()
  }

  /// What a token is worth at `now`, seconds since 1970, which must never go back.
  package func judge(_ token: Span<UInt8>, now: UInt64) -> ShownToken {
    guard isOn else { return .none }
    guard token.count <= Limits.tokenBytesMax else { return .bad(.tooLong) }
    let hash = SHA256.hash(token)
    if let known = good[hash] { return now < known.end ? .good(known) : .bad(.expired) }
    if let fault = bad[hash] { return .bad(fault) }
    verifiedCount += 1
    do throws(TokenFault) {
      let verified = try rules.verify(token, hash: hash, now: now)
      good.keep(verified, as: hash)
      return .good(verified)
    } catch {
      if !error.passes { bad.keep(error, as: hash) }
      return .bad(error)
    }
  }
}

/// Values by a hash, so many at most: the oldest gives way.
private struct BoundedMemory<Value> {
  private let countMax: Int
  private var values: [Digest: Value] = [:]
  /// In the order in which they came, round and round.
  private var order: [Digest] = []
  private var oldest = 0

  init(countMax: Int) { self.countMax = max(1, countMax) }

  subscript(hash: Digest) -> Value? { values[hash] }

  mutating func keep(_ value: Value, as hash: Digest) {
    if order.count < countMax {
      order.append(hash)
    } else {
      values[order[oldest]] = nil
      order[oldest] = hash
      oldest = (oldest + 1) % countMax
    }
    values[hash] = value
  }

  mutating func forget() {
    values.removeAll()
    order.removeAll()
    oldest = 0
  }
}

extension TokensAtHand {
  private static let scheme = Array("bearer".utf8)

  /// What the value of an `Authorization` is worth: `Bearer`, in letters of any case, and a token (RFC 6750 §2.1).
  package func judge(authorization value: Span<UInt8>, now: UInt64) -> ShownToken {
    guard isOn else { return .none }
    guard value.count > Self.scheme.count, value[Self.scheme.count] == UInt8(ascii: " ") else { return .bad(.scheme) }
    for (index, letter) in Self.scheme.enumerated() where value[index] | 0x20 != letter { return .bad(.scheme) }
    var start = Self.scheme.count
    while start < value.count, value[start] == UInt8(ascii: " ") { start += 1 }
    return judge(value.extracting(start...), now: now)
  }
}
