internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineHardening

/// What a shell learns: the numbers of sysexits.h. 64, for the command line itself, comes from the parser.
enum ExitStatus: Int32 {
  case usage = 64
  case data = 65
  case noInput = 66
  case cannotCreate = 73
  case inputOutput = 74
  case noPermission = 77
  case configuration = 78
}

/// A failure as a person and a shell learn it. Every error of every room is mapped here and nowhere else.
struct Failure {
  let status: ExitStatus
  let sentence: String

  /// nil for errors of the command line, which the parser prints itself.
  init?(_ error: any Error) {
    switch error {
    case let error as KeyringError: (status, sentence) = (error.exitStatus, error.sentence)
    case let error as PassphraseError: (status, sentence) = (error.exitStatus, error.sentence)
    case let error as HardeningError: (status, sentence) = (.configuration, error.sentence)
    case let error as InspectError: (status, sentence) = (error.exitStatus, error.sentence)
    case let error as LogError: (status, sentence) = (error.exitStatus, error.sentence)
    case let error as CheckFailed: (status, sentence) = (error.status, error.sentence)
    default: return nil
    }
  }
}

extension KeyringError {
  var exitStatus: ExitStatus {
    switch self {
    case .directoryMissing, .fileMissing, .empty: .noInput
    case .directoryIsSymlink, .notADirectory, .directoryOwner, .directoryOpenToOthers: .noPermission
    case .fileIsSymlink, .notARegularFile, .hardLinked, .fileOwner, .fileMode: .noPermission
    case .insideStore, .storeInside, .exampleKeys, .notExampleKeys, .exampleKeysAreFixed: .configuration
    case .notEmpty, .parentMissing, .versionTaken, .versionsExhausted, .unwritable: .cannotCreate
    case .versionDiffersFromName, .twoKeyrings, .passphraseTooShort: .data
    case .unreadable: .inputOutput
    case .content(_, let refusal): refusal.exitStatus
    }
  }
}

extension KeyringFile.Refusal {
  var exitStatus: ExitStatus {
    switch self {
    case .size, .magic, .formatVersion, .seal, .keyVersion, .cost, .damaged, .wrongKey: .data
    case .passphraseNeeded, .wrongPassphrase: .noPermission
    case .outOfMemory: .configuration
    }
  }
}

extension PassphraseError {
  var exitStatus: ExitStatus {
    switch self {
    case .empty, .tooLong, .differs: .data
    case .descriptorIsTerminal, .credentialName: .usage
    case .noCredentialsDirectory, .noTerminal, .credentialUnreadable: .noInput
    case .unreadable: .inputOutput
    }
  }
}

extension LogError {
  var exitStatus: ExitStatus {
    switch self {
    case .corrupt: .data
    case .storage(let failure) where failure.call == .open: .noInput
    case .storage: .inputOutput
    }
  }

  var sentence: String {
    switch self {
    case .storage(let failure):
      "\(printable(failure.path)): \(failure.call.rawValue) failed (errno \(failure.errno)): check the path, its permissions and the disk"
    case .corrupt(let fault, let file):
      "TAMPERED: \(printable(file)) at offset \(fault.offset): \(fault.sentence). Keep the files; compare with a backup"
    }
  }
}

extension InspectError {
  var exitStatus: ExitStatus {
    switch self {
    case .missing: .noInput
    case .unreadable: .inputOutput
    case .tooLarge, .text, .envelope, .local: .data
    }
  }
}
