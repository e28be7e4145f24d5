internal import ArgumentParser
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits

/// Witnesses that must have cosigned a head.
struct WitnessOption: ParsableArguments {
  @Option(
    name: .customLong("witness"),
    help: ArgumentHelp(
      "A witness that must have cosigned the head: its public key, or a file with a C2SP tlog-policy, whose quorum counts. Repeat for more.",
      valueName: "key-or-policy"))
  var given: [String] = []

  /// Throws where one of them is not satisfied. `name` is where the head came from.
  func check(_ head: SignedHead, under key: NoteKey, called name: String) throws {
    let verdict = try verdict(head, under: key, called: name)
    guard verdict == .valid else { throw EvidenceFailure(verdict, of: name) }
  }

  func verdict(_ head: SignedHead, under key: NoteKey, called name: String) throws -> EvidenceVerdict {
    for text in given {
      let policy = try readWitnesses(text)
      guard policy.logs.isEmpty || policy.logs.contains(key) else {
        throw Failure(.data, "\(printable(text)): the policy names other logs than \(printable(key.name))")
      }
      let said = policy.witnesses.map { head.note.cosigning(by: $0.key) }
      if let index = said.firstIndex(of: .invalid) {
        return .tampered("the cosignature of \(printable(policy.witnesses[index].key.name)) does not hold")
      }
      guard policy.isSatisfied(by: { said[$0] != .none }) else { return .unwitnessed(policy.missing(said)) }
    }
    return .valid
  }
}

extension WitnessPolicy {
  /// Who is missing, for a person.
  func missing(_ said: [Cosigning]) -> String {
    let names = zip(witnesses, said).filter { $1 == .none }.map { printable($0.0.key.name) }
    return "not cosigned by \(names.joined(separator: ", "))"
  }
}

/// A text with plus signs in it is the key itself.
func readWitnesses(_ given: String) throws -> WitnessPolicy {
  if given.utf8.split(separator: UInt8(ascii: "+"), maxSplits: 2).count == 3, !given.hasPrefix("/"), !given.hasPrefix(".") {
    do throws(NoteKey.Malformed) { return WitnessPolicy(all: [try WitnessKey(parsing: given)]) } catch {
      throw Failure(error == .algorithm ? .configuration : .data, "--witness: \(WitnessKey.sentence(of: error))")
    }
  }
  guard let bytes = try InputFile(given).readAll(atMost: WitnessPolicy.byteCountMax) else {
    throw Failure(.data, "\(printable(given)): more than \(WitnessPolicy.byteCountMax) bytes: this is no policy")
  }
  do throws(WitnessPolicy.Malformed) { return try WitnessPolicy(parsing: bytes) } catch {
    throw Failure(.data, "\(printable(given)): \(error.sentence)")
  }
}
