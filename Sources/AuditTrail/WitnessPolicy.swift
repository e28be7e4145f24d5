/// Whose cosignatures make a head believed: witnesses, groups of them, and a quorum (C2SP tlog-policy).
package struct WitnessPolicy: Equatable, Sendable {
  package struct Malformed: Error, Equatable {
    package enum Reason: Equatable, Sendable {
      case keyword, words, name, key(NoteKey.Malformed), doubledKey, threshold, tooMuch, noQuorum, secondQuorum, character
    }

    package let reason: Reason
    /// From 1; 0 for the file as a whole.
    package let line: Int
  }

  package struct Witness: Equatable, Sendable {
    package let key: WitnessKey
    /// The submission prefix, as it was written.
    package let url: String?
  }

  package indirect enum Rule: Equatable, Sendable {
    /// `quorum none`: always satisfied.
    case none
    /// By its place among the witnesses.
    case witness(Int)
    case group(needed: Int, of: [Rule])
  }

  package static let byteCountMax = 65_536

  /// None where any log may be meant.
  package private(set) var logs: [NoteKey] = []
  package private(set) var witnesses: [Witness] = []
  package private(set) var quorum = Rule.none

  /// All of these, each of which has to have cosigned.
  package init(all keys: [WitnessKey]) {
    witnesses = keys.map { Witness(key: $0, url: nil) }
    quorum = .group(needed: keys.count, of: keys.indices.map(Rule.witness))
  }

  package init(parsing file: [UInt8]) throws(Malformed) {
    guard file.count <= Self.byteCountMax else { throw Malformed(reason: .tooMuch, line: 0) }
    var reader = PolicyReader()
    for (index, line) in file.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      do throws(ReasonError) { try reader.read(line) } catch { throw Malformed(reason: error.reason, line: index + 1) }
    }
    guard let quorum = reader.quorum else { throw Malformed(reason: .noQuorum, line: 0) }
    (logs, witnesses, self.quorum) = (reader.logs, reader.witnesses, quorum)
  }

  /// Whether those who cosigned are enough; `has` is asked for each witness by its place.
  package func isSatisfied(by has: (Int) -> Bool) -> Bool { Self.isSatisfied(quorum, has) }

  private static func isSatisfied(_ rule: Rule, _ has: (Int) -> Bool) -> Bool {
    switch rule {
    case .none: true
    case .witness(let index): has(index)
    case .group(let needed, let members): members.count { isSatisfied($0, has) } >= needed
    }
  }

  /// When the quorum was last complete, in seconds after 1970 by the witnesses' clocks; nil where it is not, or no
  /// witness is asked for. `cosigning` is what each witness says of a note, by its place.
  package func time(_ cosigning: [Cosigning]) -> UInt64? {
    var times: [Int: UInt64] = [:]
    for (index, said) in cosigning.enumerated() {
      if case .cosigned(let seconds) = said { times[index] = seconds }
    }
    for moment in times.values.sorted(by: >) {
      if isSatisfied(by: { index in times[index].map { $0 >= moment } ?? false }) { return moment }
    }
    return nil
  }
}

/// A reason, before its line is known.
private struct ReasonError: Error {
  let reason: WitnessPolicy.Malformed.Reason
}

/// Reads the lines of a policy, each of which may name what stands above it.
private struct PolicyReader {
  private static let definitionsMax = 32

  var logs: [NoteKey] = []
  var witnesses: [WitnessPolicy.Witness] = []
  var quorum: WitnessPolicy.Rule?
  /// Names are bytes: two texts that a string takes for one are two.
  private var rules: [[UInt8]: WitnessPolicy.Rule] = [:]
  private var groupCount = 0

  mutating func read(_ line: ArraySlice<UInt8>) throws(ReasonError) {
    guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else { throw ReasonError(reason: .character) }
    let words = line.split { $0 == 0x20 || $0 == 0x09 }.map(Array.init)
    guard let keyword = words.first, keyword.first != UInt8(ascii: "#") else { return }
    let rest = Array(words.dropFirst())
    switch String(decoding: keyword, as: UTF8.self) {
    case "log": try readLog(rest)
    case "witness": try readWitness(rest)
    case "group": try readGroup(rest)
    case "quorum": try readQuorum(rest)
    default: throw ReasonError(reason: .keyword)
    }
  }

  private mutating func readLog(_ words: [[UInt8]]) throws(ReasonError) {
    guard (1...2).contains(words.count) else { throw ReasonError(reason: .words) }
    guard logs.count < Self.definitionsMax else { throw ReasonError(reason: .tooMuch) }
    let key: NoteKey
    do throws(NoteKey.Malformed) { key = try NoteKey(parsing: String(decoding: words[0], as: UTF8.self)) } catch {
      throw ReasonError(reason: .key(error))
    }
    // why: the key of two epochs of a log is one, under two names.
    guard !logs.contains(where: { $0 == key }) else { throw ReasonError(reason: .doubledKey) }
    logs.append(key)
  }

  private mutating func readWitness(_ words: [[UInt8]]) throws(ReasonError) {
    guard (2...3).contains(words.count) else { throw ReasonError(reason: .words) }
    guard witnesses.count < Self.definitionsMax else { throw ReasonError(reason: .tooMuch) }
    let key: WitnessKey
    do throws(NoteKey.Malformed) { key = try WitnessKey(parsing: String(decoding: words[1], as: UTF8.self)) } catch {
      throw ReasonError(reason: .key(error))
    }
    guard !witnesses.contains(where: { $0.key.publicKey == key.publicKey }) else {
      throw ReasonError(reason: .doubledKey)
    }
    try define(words[0], as: .witness(witnesses.count))
    let url = words.count == 3 ? String(validating: words[2], as: UTF8.self) : nil
    witnesses.append(WitnessPolicy.Witness(key: key, url: url))
  }

  private mutating func readGroup(_ words: [[UInt8]]) throws(ReasonError) {
    guard words.count >= 3 else { throw ReasonError(reason: .words) }
    guard groupCount < Self.definitionsMax else { throw ReasonError(reason: .tooMuch) }
    groupCount += 1
    let names = words.dropFirst(2)
    guard Set(names).count == names.count else { throw ReasonError(reason: .name) }
    var members: [WitnessPolicy.Rule] = []
    for name in names {
      // why: a name may count once in all, or one witness could fill a quorum of two.
      guard let rule = rules[name], used.insert(name).inserted else { throw ReasonError(reason: .name) }
      members.append(rule)
    }
    let needed: Int? =
      switch String(decoding: words[1], as: UTF8.self) {
      case "all": members.count
      case "any": 1
      case let digits: Checkpoint.number(Array(digits.utf8)).flatMap { Int(exactly: $0) }
      }
    guard let needed, (1...members.count).contains(needed) else { throw ReasonError(reason: .threshold) }
    try define(words[0], as: .group(needed: needed, of: members))
  }

  /// Names that are members of a group.
  private var used: Set<[UInt8]> = []

  private mutating func readQuorum(_ words: [[UInt8]]) throws(ReasonError) {
    guard quorum == nil else { throw ReasonError(reason: .secondQuorum) }
    guard words.count == 1 else { throw ReasonError(reason: .words) }
    guard let rule = words[0] == Array("none".utf8) ? WitnessPolicy.Rule.none : rules[words[0]] else {
      throw ReasonError(reason: .name)
    }
    quorum = rule
  }

  private mutating func define(_ name: [UInt8], as rule: WitnessPolicy.Rule) throws(ReasonError) {
    guard name != Array("none".utf8), rules.updateValue(rule, forKey: name) == nil else {
      throw ReasonError(reason: .name)
    }
  }
}

extension WitnessPolicy.Malformed {
  /// What is wrong and how to mend it, in words that follow the name of a file.
  package var sentence: String { line == 0 ? words : "line \(line): \(words)" }

  private var words: String {
    switch reason {
    case .keyword: "a line begins with log, witness, group, quorum or #"
    case .words: "too few or too many words: log KEY [URL], witness NAME KEY [URL], group NAME all|any|N MEMBER…, quorum NAME"
    case .name: "the name is not defined on a line above, is defined twice, or is a member twice"
    case .key(let error): WitnessKey.sentence(of: error)
    case .doubledKey: "the same public key stands on a line above"
    case .threshold: "of a group all, any, or a number of members is needed, 1 to all of them"
    case .tooMuch: "a policy has at most 32 logs, 32 witnesses, 32 groups and \(WitnessPolicy.byteCountMax) bytes"
    case .noQuorum: "a line 'quorum NAME' is missing"
    case .secondQuorum: "there is a line 'quorum' already"
    case .character: "a control character"
    }
  }
}
