/// The two files that `init` writes for people, and who may reach what.
struct InitFiles {
  struct Application {
    let uid: UInt32
    /// As the policy names it.
    let principal: String
  }

  let logName: String
  /// Who runs this, and will run the service.
  let uid: UInt32
  /// nil: the same user.
  let application: Application?
  let credential: String?
  /// Where the example keyring is, if it is to be used.
  var exampleKeys: String?

  /// Another user must come through to the data socket.
  var folderMode: UInt32 { application == nil ? 0o700 : 0o711 }
  var fileMode: UInt32 { application == nil ? 0o600 : 0o644 }
  static let longestSocketPath = "run/admin.sock"
  static let signingKey = "signing/log.key"
  private var dataSocketMode: String { application == nil ? "0600" : "0666" }

  var configuration: String {
    """
    # What `chatelained --config` is told. Relative paths begin where this file lies.
    version: 1
    keyring:
      directory: \(exampleKeys.map { "\"\($0)\"" } ?? "keyring")\(credential.map { "\n  passphrase-credential: \"\($0)\"" } ?? "")
    store: store/keys.sqlite
    log:
      directory: log
      name: "\(logName)"
      # Signs the log's heads. Keep its public key (chatelaine signing-key show) and heads where this machine cannot write.
      signing-key: \(Self.signingKey)
      # anchor: /mnt/elsewhere/chatelaine.head
    policy: policy.yaml
    # Whoever can write to a socket may ask; who it is says the kernel, and what is granted says the policy.
    data-socket:
      path: run/data.sock
      mode: "\(dataSocketMode)"
    admin-socket:
      path: run/admin.sock
      mode: "0600"
    # Vault's Transit API, for programs in any language (docs/http-door.md):
    # http-socket:
    #   path: run/http.sock
    #   mode: "\(dataSocketMode)"
    \(exampleKeys == nil ? "" : "insecure-example-keys: true\n")
    """
  }

  var policy: String { header + (application.map(apart) ?? together) }

  private var header: String {
    """
    # Who may do what. What no rule grants is denied. The first rule that grants is named in the log.
    version: 1

    """
  }

  private var together: String {
    """
    # For trying things out: one user has every role here. Who can encrypt can then also administer, and the log
    # cannot tell the one from the other. Give applications and operators users of their own, and delete this line.
    allow-combined-roles: true
    \(rules(application: "uid:\(uid)"))\
      - name: reviewers
        role: reviewer
        principals: ["uid:\(uid)"]
        operations: ["*"]

    """
  }

  private func apart(_ application: Application) -> String { rules(application: application.principal) }

  private func rules(application: String) -> String {
    """
    rules:
      - name: applications
        role: application
        principals: ["\(application)"]
        tenants: ["*"]
        keys: ["*"]
        operations: ["*"]
      - name: operators
        role: operator
        principals: ["uid:\(uid)"]
        operations: ["*"]

    """
  }
}
