internal import ArgumentParser
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineVocabulary

/// What a round of questions to witnesses came to, for a person, a program and a shell.
struct WitnessReport {
  /// An alarm with a verdict is about the log; one without, about time.
  private(set) var alarms: [(sentence: String, verdict: EvidenceVerdict?)] = []
  private(set) var failures: [String] = []
  private(set) var lines: [String] = []
  private var isAnchored = false
  private var head: SignedHead?
  private var cosigned: (head: SignedHead, time: UInt64)?

  /// A round that came to no question.
  init(failures: [String] = [], alarms: [(sentence: String, verdict: EvidenceVerdict?)]) {
    (self.failures, self.alarms) = (failures, alarms)
    lines = failures + alarms.map(\.sentence)
  }

  /// `cosigned` is the newest head that enough witnesses cosigned. Where there is none, `since` counts in its place.
  init(
    _ policy: WitnessPolicy, _ outcomes: [Int: WitnessOutcome], head: SignedHead, cosigned: SignedHead?,
    unanchoredMax: UInt64, since: UInt64
  ) {
    for (index, outcome) in outcomes.sorted(by: { $0.key < $1.key }) {
      take(outcome, of: printable(policy.witnesses[index].key.name), head)
    }
    let time = cosigned.flatMap(policy.time)
    let now = wallSeconds()
    isAnchored = time != nil && cosigned?.checkpoint == head.checkpoint
    if isAnchored { isAnchored = outcomes.isEmpty || policy.isSatisfied { outcomes[$0]?.isCosigned ?? false } }
    lines.append(Self.summary(head, cosigned, time))
    if !isAnchored, now > (time ?? since), now - (time ?? since) > unanchoredMax {
      let last = time.map { "the last time was \(rfc3339($0)), over \(cosigned?.checkpoint.size ?? 0) entries" } ?? "never so far"
      alarms.append((
        "enough witnesses have not cosigned the newest head, of \(head.checkpoint.size) entries, for longer than \(unanchoredMax) s: \(last)", nil))
    }
    self.head = head
    if let cosigned, let time { self.cosigned = (cosigned, time) }
  }

  var fields: [(String, JSON)] {
    var fields: [(String, JSON)] = []
    if let head {
      fields += [("origin", .string(head.checkpoint.origin)), ("entries", .number(head.checkpoint.size))]
    }
    fields.append(("anchored", .bool(isAnchored)))
    if let cosigned {
      fields += [
        ("cosignedEntries", .number(cosigned.head.checkpoint.size)), ("cosignedAt", .string(rfc3339(cosigned.time))),
      ]
    }
    let alarms = alarms.map { alarm in
      JSON.object([("kind", .string(alarm.verdict?.word ?? "unanchored")), ("sentence", .string(alarm.sentence))])
    }
    return fields + [("failures", .array(failures.map(JSON.string))), ("alarms", .array(alarms))]
  }

  private mutating func take(_ outcome: WitnessOutcome, of name: String, _ head: SignedHead) {
    switch outcome {
    case .cosigned(let seconds):
      lines.append("\(name): cosigned \(head.checkpoint.size) entries at \(rfc3339(seconds))")
    case .failed(let why):
      failures.append("\(name): \(why)")
      lines.append("\(name): no cosignature: \(why)")
    case .alarm(let verdict):
      alarms.append(("\(name): \(verdict.sentence)", verdict))
      lines.append("\(name): no cosignature")
    }
  }

  private static func summary(_ head: SignedHead, _ cosigned: SignedHead?, _ time: UInt64?) -> String {
    guard let cosigned, let time else { return "not anchored: enough witnesses have never cosigned a head of this log" }
    guard cosigned.checkpoint == head.checkpoint else {
      return "not anchored: the newest head has \(head.checkpoint.size) entries, enough witnesses cosigned \(cosigned.checkpoint.size) at \(rfc3339(time))"
    }
    return "anchored: enough witnesses cosigned \(head.checkpoint.size) entries of \(printable(head.checkpoint.origin)) at \(rfc3339(time))"
  }

  /// What is said of the log itself comes before what is said of time.
  var code: ExitCode {
    let verdicts = alarms.compactMap(\.verdict)
    for verdict in verdicts { if case .forked = verdict { return verdict.exitCode } }
    if let verdict = verdicts.first { return verdict.exitCode }
    if !alarms.isEmpty { return ExitCode(9) }
    return isAnchored ? .success : ExitCode(ExitStatus.unavailable.rawValue)
  }
}

extension WitnessOutcome {
  fileprivate var isCosigned: Bool {
    if case .cosigned = self { true } else { false }
  }
}

extension WitnessPolicy {
  /// When the quorum was last complete under a head, in seconds after 1970; nil where it is not.
  func time(_ head: SignedHead) -> UInt64? { time(witnesses.map { head.note.cosigning(by: $0.key) }) }
}

private func rfc3339(_ seconds: UInt64) -> String {
  WallTime(nanoseconds: min(seconds, 18_000_000_000) * 1_000_000_000).rfc3339
}
