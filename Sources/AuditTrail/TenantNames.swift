internal import ChatelaineVocabulary

/// Tenants in the order in which they came, each found by its bytes; a million of them in some 40 MB.
struct TenantNames: Sendable {
  private var bytes: [UInt8] = []
  private var ends: [Int] = []
  /// Numbers from 1, by hash; 0 is a free place. A power of two, at most half full.
  private var places = [UInt32](repeating: 0, count: 64)
  private let seed = UInt64.random(in: .min ... .max)

  var count: Int { ends.count }

  /// Lends a name.
  func withName<Result>(_ number: Int, _ body: (Span<UInt8>) -> Result) -> Result {
    let start = number == 0 ? 0 : ends[number - 1]
    return body(bytes.span.extracting(start..<ends[number]))
  }

  func number(of name: Span<UInt8>) -> Int? {
    let found = places[place(of: name)]
    return found == 0 ? nil : Int(found) - 1
  }

  /// Adds a name that is not there.
  mutating func append(_ name: Span<UInt8>) -> Int {
    precondition(ends.count < Int(UInt32.max) - 1, "more tenants than can be numbered")
    if 2 * (ends.count + 1) > places.count { grow() }
    for index in name.indices { bytes.append(name[index]) }
    ends.append(bytes.count)
    places[place(of: name)] = UInt32(ends.count)
    return ends.count - 1
  }

  private mutating func grow() {
    places = [UInt32](repeating: 0, count: 2 * places.count)
    for number in ends.indices {
      let free = withName(number) { place(of: $0) }
      places[free] = UInt32(number + 1)
    }
  }

  /// Where a name stands, or would.
  private func place(of name: Span<UInt8>) -> Int {
    var place = hash(name) & (places.count - 1)
    while places[place] != 0, !withName(Int(places[place]) - 1, { $0.equals(name) }) {
      place = (place + 1) & (places.count - 1)
    }
    return place
  }

  /// Eight bytes a step, from a seed of this process: who gets a name into the tree is an operator.
  private func hash(_ name: Span<UInt8>) -> Int {
    var (hash, offset) = (seed, 0)
    while offset + 8 <= name.count {
      hash = Self.mixed(hash ^ name.bigEndian(at: offset, as: UInt64.self))
      offset += 8
    }
    var rest = UInt64(name.count)
    while offset < name.count {
      rest = rest << 8 | UInt64(name[offset])
      offset += 1
    }
    return Int(truncatingIfNeeded: Self.mixed(hash ^ rest))
  }

  /// The finalizer of MurmurHash3.
  private static func mixed(_ value: UInt64) -> UInt64 {
    let once = (value ^ value >> 33) &* 0xff51_afd7_ed55_8ccd
    let twice = (once ^ once >> 33) &* 0xc4ce_b9fe_1a85_ec53
    return twice ^ twice >> 33
  }
}

extension Span<UInt8> {
  fileprivate func equals(_ other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    var offset = 0
    while offset + 8 <= count {
      guard bigEndian(at: offset, as: UInt64.self) == other.bigEndian(at: offset, as: UInt64.self) else { return false }
      offset += 8
    }
    while offset < count {
      guard self[offset] == other[offset] else { return false }
      offset += 1
    }
    return true
  }
}
