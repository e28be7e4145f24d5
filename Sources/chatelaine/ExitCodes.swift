internal import ChatelaineExits

/// The errors that only these commands have; all others are mapped in `Exits`.
func failure(_ error: any Error) -> Failure? {
  switch error {
  case let error as InspectError: Failure(error.exitStatus, error.sentence)
  case let error as CheckFailed: Failure(error.status, error.sentence)
  default: Failure(error)
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
