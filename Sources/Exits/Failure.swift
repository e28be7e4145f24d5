internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineKeyStore

/// A failure as a person and a shell learn it: one line, fit for a terminal, and a status. The errors of all rooms
/// are mapped here, so that the service and the commands end alike.
package struct Failure: Error {
  package let status: ExitStatus
  package let sentence: String

  package init(_ status: ExitStatus, _ sentence: String) {
    self.status = status
    self.sentence = sentence
  }

  /// nil for errors of the command line, which the parser prints itself, and those of one command.
  package init?(_ error: any Error) {
    switch error {
    case let error as Failure: self = error
    case let error as KeyringError: self.init(error.exitStatus, error.sentence)
    case let error as SigningKeyError: self.init(error.exitStatus, error.sentence)
    case let error as SecretFileError: self.init(error.exitStatus, error.sentence)
    case let error as PassphraseError: self.init(error.exitStatus, error.sentence)
    case let error as HardeningError: self.init(.configuration, error.sentence)
    case let error as ConfigurationError: self.init(error.exitStatus, printable(error.sentence))
    case let error as LogError: self.init(error.exitStatus, error.sentence)
    case let error as StartError: self.init(error.exitStatus, error.printed)
    default: return nil
    }
  }
}

extension SecretFileError {
  fileprivate var exitStatus: ExitStatus {
    switch problem {
    case .missing: .noInput
    case .symlink, .notARegularFile, .owner, .mode: .noPermission
    case .size: .configuration
    case .unreadable(let errno): ExitStatus(readingFailedWith: errno)
    }
  }
}

extension ConfigurationError {
  fileprivate var exitStatus: ExitStatus {
    switch problem {
    case .unreadable: .noInput
    case .notPermitted: .noPermission
    default: .configuration
    }
  }
}

extension KeyringError {
  package var exitStatus: ExitStatus {
    switch self {
    case .directoryMissing, .fileMissing, .empty: .noInput
    case .directoryIsSymlink, .notADirectory, .directoryOwner, .directoryOpenToOthers: .noPermission
    case .fileIsSymlink, .notARegularFile, .hardLinked, .fileOwner, .fileMode: .noPermission
    case .insideStore, .storeInside, .exampleKeys, .notExampleKeys, .exampleKeysAreFixed, .testBuild: .configuration
    case .notEmpty, .parentMissing, .versionTaken, .versionsExhausted, .unwritable: .cannotCreate
    case .versionDiffersFromName, .twoKeyrings, .passphraseTooShort: .data
    case .unreadable(_, let errno): ExitStatus(readingFailedWith: errno)
    case .content(_, let refusal): refusal.exitStatus
    }
  }
}

extension KeyringFile.Refusal {
  fileprivate var exitStatus: ExitStatus {
    switch self {
    case .size, .magic, .formatVersion, .seal, .keyVersion, .cost, .damaged, .wrongKey: .data
    case .passphraseNeeded, .wrongPassphrase: .noPermission
    case .outOfMemory: .configuration
    }
  }
}

extension SigningKeyError {
  fileprivate var exitStatus: ExitStatus {
    switch problem {
    case .missing: .noInput
    case .symlink, .notARegularFile, .hardLinked, .owner, .mode, .directoryOpenToOthers, .directoryOwner: .noPermission
    case .content(.formatVersion), .testBuild: .configuration
    case .content: .data
    case .directoryMissing, .exists, .unwritable: .cannotCreate
    case .unreadable(let errno): ExitStatus(readingFailedWith: errno)
    }
  }
}

extension PassphraseError {
  fileprivate var exitStatus: ExitStatus {
    switch self {
    case .empty, .tooLong, .differs: .data
    case .descriptorIsTerminal, .credentialName: .usage
    case .noCredentialsDirectory, .noTerminal, .credentialUnreadable: .noInput
    case .unreadable(let errno): ExitStatus(readingFailedWith: errno)
    }
  }
}

extension LogError {
  fileprivate var exitStatus: ExitStatus {
    switch self {
    case .corrupt: .data
    case .unsupported: .configuration
    case .storage(let failure) where failure.place != nil: .noPermission
    case .storage(let failure) where failure.call == .open && !failure.isOfPermission: .noInput
    case .noLog: .noInput
    case .storage(let failure): ExitStatus(readingFailedWith: failure.errno)
    }
  }

  fileprivate var sentence: String {
    switch self {
    case .storage(let failure) where failure.place != nil: "\(printable(failure.path)): \(failure.reason)"
    case .storage(let failure):
      "\(printable(failure.path)): \(failure.call.rawValue) failed (\(failure.reason)): check the path, its permissions and the disk"
    case .noLog(let path): "\(printable(path)): there is no log here: name the directory of one"
    case .corrupt(let fault, let file):
      "TAMPERED: \(printable(file)) at offset \(fault.offset): \(fault.sentence). Keep the files; compare with a backup"
    case .unsupported(let fault, let file):
      "\(printable(file)) at offset \(fault.offset): \(fault.sentence): a newer version wrote it. Install that version"
    }
  }
}

extension MasterFileFault {
  fileprivate var exitStatus: ExitStatus {
    switch kind {
    case .refused(let error): error.exitStatus
    case .otherKey: .data
    }
  }
}

extension StartError {
  fileprivate var exitStatus: ExitStatus {
    switch self {
    case .log(.storage(let failure)) where failure.call == .lock: .busy
    case .log(.storage(let failure)) where failure.isOfPermission: .noPermission
    case .log(.storage(let failure)) where failure.call != .open: .inputOutput
    case .log(.unsupported): .configuration
    case .log(.storage), .log(.noLog), .store(.missing): .noInput
    case .log(.corrupt), .store(.tampered), .store(.rootMismatch), .store(.damagedJournal),
      .store(.rollbackJournal), .store(.masterKey), .otherLog, .storeRolledBack, .logRolledBack, .logRewritten, .storeDiffers,
      .otherEpoch, .unsignedEpoch, .impossibleGeneration, .unfinishedAcknowledgement:
      .data
    case .nothingToAcknowledge, .otherLoss: .usage
    case .masterFile(let fault): fault.exitStatus
    case .heads(.unusable(.otherKey)): .configuration
    case .heads(.unusable(.storage(let failure))): ExitStatus(readingFailedWith: failure.errno)
    case .heads: .data
    case .store(.exists): .cannotCreate
    case .store(.inUse), .store(.busy), .store(.heldOpen): .busy
    case .store(.place): .noPermission
    case .store(.database), .store(.full), .service(.auditUnavailable): .inputOutput
    case .store, .service, .selfTest: .configuration
    }
  }

  /// Its sentences carry paths as they are.
  fileprivate var printed: String { printable(sentence) }
}
