internal import ChatelaineAccessPolicy
internal import ChatelaineTokens

extension ConfigurationError.Problem {
  /// What is wrong and how to mend it.
  var sentence: String {
    switch self {
    case .unreadable: "the file cannot be read: check its path and its permissions"
    case .notPermitted: "the file may not be read (Permission denied): check its permissions and those of its directories"
    case .notAFile: "this is no file: name a regular one"
    case .notYours:
      "others may change the file: it must be root's or the service's own, with no write permission for group and others"
    case .tooLarge(let limit): "the file is longer than \(limit) bytes: this is no configuration"
    case .notText: "the file is not UTF-8 text, or names a control character"
    case .carriageReturn: "a line ends as on Windows (CR LF): let lines end with LF alone (sed -i 's/\\r$//')"
    case .byteOrderMark: "there is a byte order mark (U+FEFF), which is invisible: save the file as UTF-8 without one"
    case .controlCharacter(let value):
      "there is a control character or an invisible end of line (U+\(Self.hex(value))): take it out"
    case .empty: "the file says nothing: it begins with 'version: 1'"
    case .syntax(let problem): "this is not YAML: \(problem)"
    case .special(let character):
      "'\(character)' at the beginning of a value has a meaning in YAML that is not used here: put quotes around the value"
    case .quote: "a quote begins and ends a value, on one line: put quotes around the whole of it"
    case .tooManyValues(let limit): "more than \(limit) values: this is no configuration"
    case .version(let found): "version \(found) is not known: this release reads version 1"
    case .unknownKey(let key, let nearest, let valid): "unknown key '\(key)': \(Self.hint(nearest, valid))"
    case .duplicateKey(let key, let first): "the key '\(key)' stands in line \(first) already: leave one away"
    case .missingKey(let key): "the key '\(key)' is missing: add it"
    case .type(let key, let wanted): "'\(key)' takes \(wanted.rawValue)"
    case .range(let key, let range): "'\(key)' takes \(range.lowerBound) to \(range.upperBound)"
    case .word(let key, let found, let nearest, let valid):
      "'\(found)' is no word for '\(key)': \(Self.hint(nearest, valid))"
    case .path(let key): "'\(key)' takes a path"
    case .mode(let key): "'\(key)' takes three or four octal digits that let the owner in, such as \"0660\""
    case .logName: "'log.name' takes 1 to 128 of A-Z a-z 0-9 . _ -"
    case .segmentBytes: "'log.first-segment-bytes' is not more than 'log.segment-bytes'"
    case .anchorAlone: "'log.anchor' is for signed heads: name the key that signs them, 'log.signing-key', too"
    case .socketPath(let key, let count):
      "'\(key)' comes to a path of \(count) bytes, and a socket's has \(ConfigurationError.socketPathBytesMax) at most: choose a shorter one"
    case .sameSocket(let key, let other): "'\(key)' and '\(other)' are one path: give each its own"
    case .socketAmong(let key, let owner):
      "'\(key)' is in the directory of '\(owner)', which is for nothing else: give sockets a directory of their own"
    case .account(let name):
      "\(name) is not in /etc/passwd or /etc/group: name another, or give the number (uid:N, gid:N)"
    case .address(let key, let text):
      "'\(text)' is no address for '\(key)': write a number and a port, such as \"127.0.0.1:7443\" or \"[::1]:7443\""
    case .sameAddress(let key, let other): "'\(key)' and '\(other)' are one address: give each its own"
    case .noTLS(let key):
      "'\(key)' is missing: over TCP nobody is known without a certificate, so name certificate, key and client-ca"
    case .principal(let text): "'\(text)' is no principal: write uid:N, user:NAME, gid:N, group:NAME, spiffe://DOMAIN/PATH, dns:NAME, token:NAME or token:NAME/SUBJECT"
    case .tokenName(let text): "'\(text)' is no name of a token: 1 to 64 of a-z 0-9 . _ -, and a letter or digit first"
    case .noToken(let name, let nearest):
      "the tokens' file has no issuer and no static token '\(name)': "
        + (nearest.map { "did you mean '\($0)'?" } ?? "name one, and 'tokens' in the configuration")
    case .tenant(let text): "'\(text)' is no tenant: 1 to 64 of a-z 0-9 . _ -, and a letter or digit first; no pattern"
    case .claim(let text):
      "'\(text)' cannot be the claim that names tenants: a name of its own, of 1 to 128 printable ASCII characters, such as tenant"
    case .hash: "'sha256' is the hash of a token, 64 hexadecimal digits: 'chatelaine token create' prints it"
    case .time(let text): "'\(text)' is no time: write it as 2027-01-31T00:00:00Z"
    case .tokensTwice(let what): "\(what) stands in the file already: each token has one meaning"
    case .tooMany(let key, let limit): "'\(key)' has 1 to \(limit) values"
    case .keySet(let fault): fault.sentence
    case .secretReadable:
      "the file holds a secret ('kty': 'oct'), and others may read it: let its owner alone do so (chmod 600)"
    case .pattern(let key, let text):
      "'\(text)' is no pattern for '\(key)': write a name, the beginning of one with *, or \"*\""
    case .outsideRole(let permission, let role):
      "the role '\(role.rawValue)' cannot be granted '\(permission.rawValue)': it may have \(Self.words(of: role))"
    case .policy(let error): error.sentence
    }
  }

  private static func hex(_ value: UInt32) -> String {
    let digits = String(value, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
  }

  private static func hint(_ nearest: String?, _ valid: [String]) -> String {
    nearest.map { "did you mean '\($0)'?" } ?? "known are \(valid.joined(separator: ", "))"
  }

  private static func words(of role: Role) -> String {
    Permission.allCases.filter(role.permissions.contains).map(\.rawValue).joined(separator: ", ")
  }
}

extension PolicyError {
  fileprivate var sentence: String {
    switch self {
    case .name: "a rule's name is 1 to 64 of a-z 0-9 . _ -, and begins with a letter or digit"
    case .duplicateName: "another rule has this name: names of rules stand in the log, so give each its own"
    case .nobody: "the rule is for nobody: name principals"
    case .noTenants: "the rule is about no tenant: name some, or leave 'tenants' away for all"
    case .noKeys: "the rule is about no key: name some, or leave 'keys' away for all"
    case .nothingAllowed: "the rule allows nothing: name operations, or \"*\" for all of the role"
    case .listTooLong: "a list of the rule is too long: make two rules of it"
    case .tooManyRules: "too many rules"
    case .outsideRole(_, let permission): "the rule's role cannot be granted '\(permission.rawValue)'"
    case .twoRoles(_, _, let pattern):
      "\(pattern.text) has another role in an earlier rule: keep roles apart, or say 'allow-combined-roles: true' to try things out"
    }
  }
}
