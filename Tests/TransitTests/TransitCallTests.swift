import ChatelaineTransit
import ChatelaineVocabulary
import Testing

@Suite("Requests of Vault's shape")
struct TransitCallTests {
  typealias Parsed = (call: TransitCall, texts: [[UInt8]])

  static func parse(_ path: String, _ body: String, _ method: TransitMethod = .post) -> Result<Parsed, TransitFault> {
    parse(path, Array(body.utf8), method)
  }

  static func parse(_ path: String, _ body: [UInt8], _ method: TransitMethod = .post) -> Result<Parsed, TransitFault> {
    var bytes = body
    return Result { () throws(TransitFault) in
      let route = try TransitRoute(method, target: path, namespace: nil)
      var span = bytes.mutableSpan
      let call = try TransitCall(route, &span)
      return (call, call.items.map { item in item.body.map { span[$0] } })
    }
  }

  static func fault(_ path: String, _ body: String, _ method: TransitMethod = .post) -> TransitFault? {
    if case .failure(let fault) = parse(path, body, method) { fault } else { nil }
  }

  private let encrypt = "/v1/acme/encrypt/pay"
  private let decrypt = "/v1/acme/decrypt/pay"

  @Test("A plaintext is decoded where it lies, also out of an escaped slash")
  func plaintexts() throws {
    let part = #"{"batch_input":[{"plaintext":""}],"partial_failure_response_code":"#
    for status in [200, 207, 400, 599] { _ = try Self.parse(encrypt, part + "\(status)}").get() }
    for status in [201, 204, 205, 304, 199, 600] {
      #expect(Self.fault(encrypt, part + "\(status)}") == .value(.partialFailureResponseCode), "a body would not belong to it")
    }
    #expect(Self.fault(encrypt, " null ") == .missing(.plaintext) && Self.fault("/v1/acme/keys/pay/rotate", "null") == nil)
    #expect(Self.fault(encrypt, "null null") == .json(.malformed, at: 5))

    #expect(try Self.parse(encrypt, #"{"plaintext":"Zm9vYmFy"}"#).get().texts == [Array("foobar".utf8)])
    #expect(try Self.parse(encrypt, #"{"plaintext":"\/\/79"}"#).get().texts == [[0xff, 0xfe, 0xfd]])
    #expect(try Self.parse(encrypt, #"{"plaintext":""}"#).get().texts == [[]])
    #expect(try Self.parse(encrypt, #"{"plaintext":"eA==","context":null,"key_version":0,"nonce":""}"#).get().texts == [[0x78]])
    for text in ["Zm9vYmF", "Zm9vYmFy=", "Zm9v YmFy", "Zm9vYmF_", "Zm9vYmE", "Zm9vYmG=", "Zg=", "Zh==", "====", "A===", "Zg==Zg=="] {
      #expect(Self.fault(encrypt, "{\"plaintext\":\"\(text)\"}") == .value(.plaintext), "\(text)")
    }
    #expect(Self.fault(encrypt, "") == .missing(.plaintext) && Self.fault(encrypt, "{}") == .missing(.plaintext))
    #expect(Self.fault(encrypt, #"{"plaintext":null}"#) == .missing(.plaintext))
    #expect(Self.fault(encrypt, #"{"plaintext":"","plaintext":""}"#) == .memberTwice(.plaintext))
    #expect(Self.fault(encrypt, #"{"plaintext":"","associateddata":""}"#) == .unknownMember(at: 31))
    #expect(Self.fault(encrypt, #"{"ciphertext":""}"#) == .unknownMember(at: 12))
  }

  @Test("A ciphertext says its version, and what is none opens as nothing does")
  func ciphertexts() throws {
    let (call, texts) = try Self.parse(decrypt, #"{"ciphertext":"vault:v27:Zm9v"}"#).get()
    #expect(texts == [Array("foo".utf8)] && call.items[0].keyVersion == 27)
    for text in [
      "", "vault", "vault:v", "vault:v1", "vault:v1:Zm9", "vault:v0:Zm9v", "vault:v01:Zm9v", "vault:v:Zm9v", "vault:v-1:Zm9v",
      "vault:v9999999999:Zm9v", "Vault:v1:Zm9v", "vault:v1Zm9v", "vault:v1:Zm9v:", "ch1.Zm9v",
    ] {
      let (call, texts) = try Self.parse(decrypt, "{\"ciphertext\":\"\(text)\"}").get()
      #expect(texts == [[]] && call.items[0].keyVersion == 0, "\(text)")
    }
    #expect(Self.fault(decrypt, "{}") == .missing(.ciphertext))
  }

  @Test("Vault's two contexts are pairs of the encryption context, and so are those of ours")
  func contexts() throws {
    let body = #"{"plaintext":"","associated_data":"Zm9v","context":"YmFy","encryption_context":{"table":"c\u0061rds"}}"#
    let context = try Self.parse(encrypt, body).get().call.items[0].context
    let pairs = context.pairs.map { [$0.key, $0.value].map { String(decoding: $0, as: UTF8.self) } }
    #expect(pairs == [["associated_data", "Zm9v"], ["context", "YmFy"], ["table", "cards"]])
    #expect(try Self.parse(encrypt, #"{"plaintext":"","context":""}"#).get().call.items[0].context == .empty)
    #expect(Self.fault(encrypt, #"{"plaintext":"","context":"x"}"#) == .value(.context))
    #expect(Self.fault(encrypt, #"{"plaintext":"","encryption_context":{"":"x"}}"#) == .context(.keyLength))
    #expect(Self.fault(encrypt, #"{"plaintext":"","encryption_context":{"a":"x","a":"y"}}"#) == .context(.duplicateKey))
    #expect(Self.fault(encrypt, #"{"plaintext":"","context":"eA==","encryption_context":{"context":"y"}}"#) == .context(.duplicateKey))
    #expect(Self.fault(encrypt, #"{"plaintext":"","encryption_context":{"\u0061":"x"}}"#) == .value(.encryptionContext))
    #expect(Self.fault(encrypt, #"{"plaintext":"","encryption_context":["a"]}"#) == .json(.malformed, at: 37))
    let many = (0...16).map { "\"k\($0)\":\"\"" }.joined(separator: ",")
    #expect(Self.fault(encrypt, "{\"plaintext\":\"\",\"encryption_context\":{\(many)}}") == .context(.tooManyPairs))
    let long = String(repeating: "A", count: 1028)
    #expect(Self.fault(encrypt, "{\"plaintext\":\"\",\"context\":\"\(long)\"}") == .context(.valueLength))
    var bytes = Array(#"{"plaintext":"","encryption_context":{"a":"x"}}"#.utf8)
    bytes[43] = 0xff
    guard case .failure(.json(.notUnicode, _)) = Self.parse(encrypt, bytes) else { Issue.record("0xff is no text"); return }
  }

  @Test("A batch has its items' texts, contexts and marks, and a bound")
  func batches() throws {
    let body = #"{"batch_input":[{"plaintext":"Zg==","reference":"a\u0062"},{"plaintext":"","context":"eA=="}],"plaintext":""}"#
    let (call, texts) = try Self.parse(encrypt, body).get()
    #expect(call.isBatch && texts == [[0x66], []] && call.items[1].context.pairs.count == 1)
    #expect(call.items[0].reference?.count == 7, "as it is written")
    #expect(Self.fault(encrypt, #"{"batch_input":[]}"#) == .batchSize)
    #expect(Self.fault(encrypt, #"{"batch_input":[{}]}"#) == .missing(.plaintext))
    #expect(Self.fault(encrypt, #"{"batch_input":[{"plaintext":""}],"plaintext":"eA=="}"#) == .besideBatch)
    #expect(Self.fault(encrypt, #"{"batch_input":[{"plaintext":"","batch_input":[]}]}"#) == .unknownMember(at: 44))
    #expect(Self.fault(encrypt, #"{"batch_input":[[]]}"#) == .json(.malformed, at: 16))
    let item = #"{"plaintext":""}"#
    func batch(_ count: Int) -> String { "{\"batch_input\":[\(Array(repeating: item, count: count).joined(separator: ","))]}" }
    #expect(Self.fault(encrypt, batch(1024)) == nil && Self.fault(encrypt, batch(1025)) == .batchSize)
  }

  @Test("A request carries so much plaintext and not more")
  func sizes() {
    func body(_ count: Int) -> String { "{\"plaintext\":\"\(Base64.encode([UInt8](repeating: 0, count: count)))\"}" }
    #expect(Self.fault(encrypt, body(1 << 20)) == nil)
    #expect(Self.fault(encrypt, body(1 << 20 + 1)) == .plaintextTooLong)
  }

  @Test("What Vault's Transit has and this door has not is named")
  func absent() {
    #expect(Self.fault(encrypt, #"{"plaintext":"","nonce":"eA=="}"#) == .notHere(.nonce))
    #expect(Self.fault(encrypt, #"{"plaintext":"","key_version":1}"#) == .notHere(.keyVersion))
    #expect(Self.fault(encrypt, #"{"plaintext":"","convergent_encryption":true}"#) == .notHere(.convergentEncryption))
    #expect(Self.fault("/v1/acme/keys/pay", #"{"derived":"true"}"#) == .notHere(.derived))
    #expect(Self.fault("/v1/acme/keys/pay", #"{"exportable":true}"#) == .notHere(.exportable))
    #expect(Self.fault("/v1/acme/keys/pay", #"{"type":"rsa-2048"}"#) == .notHere(.keyType))
    #expect(Self.fault("/v1/acme/keys/pay", #"{"auto_rotate_period":"720h"}"#) == .notHere(.autoRotation))
    #expect(Self.fault("/v1/acme/keys/pay", #"{"type":"chacha20-poly1305","derived":false,"auto_rotate_period":0}"#) == nil)
    #expect(Self.fault("/v1/acme/datakey/wrapped/pay", #"{"bits":512}"#) == .notHere(.keyBits))
    for path in ["export/encryption-key/pay", "sign/pay", "verify/pay", "hmac/pay", "hash", "backup/pay", "restore", "cache-config"] {
      guard case .notHere(let absent)? = Self.fault("/v1/acme/" + path, "") else { Issue.record("\(path)"); continue }
      #expect(path.hasPrefix(absent.rawValue) && absent.sentence.hasPrefix(absent.rawValue + " is not here: "))
    }
    #expect(Self.fault("/v1/acme/keys/pay/trim", "") == .notHere(.trim))
    #expect(Self.fault("/v1/acme/keys/pay", "", .delete) == .notHere(.delete))
  }

  @Test("Random bytes: how many, by the path or the body")
  func random() throws {
    #expect(try Self.parse("/v1/acme/random", "").get().call.randomByteCount == 32)
    #expect(try Self.parse("/v1/acme/random/16", "").get().call.randomByteCount == 16)
    #expect(try Self.parse("/v1/acme/random/platform/16", #"{"format":"hex"}"#).get().call.isHexadecimal)
    #expect(try Self.parse("/v1/acme/random", #"{"bytes":4096,"format":"base64"}"#).get().call.randomByteCount == 4096)
    #expect(Self.fault("/v1/acme/random", #"{"bytes":4097}"#) == .randomSize && Self.fault("/v1/acme/random/0", "") == .randomSize)
    #expect(Self.fault("/v1/acme/random", #"{"bytes":18446744073709551615}"#) == .randomSize)
    #expect(Self.fault("/v1/acme/random/seal/8", "") == .notHere(.source))
  }
}

@Suite("Paths of Vault's shape")
struct TransitRouteTests {
  static func route(_ method: TransitMethod, _ target: String, _ namespace: String? = nil) -> Result<TransitRoute, TransitFault> {
    Result { () throws(TransitFault) in try TransitRoute(method, target: target, namespace: namespace) }
  }

  @Test("A tenant is the mount, or the namespace of the mount transit")
  func tenants() throws {
    for (target, namespace) in [("/v1/acme/encrypt/pay", nil), ("/v1/transit/encrypt/pay", "acme"), ("/v1/transit/encrypt/pay", "acme/"), ("/v1/acme/encrypt/pay", "")] {
      let route = try Self.route(.post, target, namespace).get()
      let (tenant, key) = (try TenantID("acme"), try KeyName("pay"))
      #expect(route.tenant == tenant && route.key == key && route.endpoint == .encrypt)
    }
    #expect(Self.route(.post, "/v1/acme/encrypt/pay", "beta") == .failure(.namespace))
    #expect(Self.route(.post, "/v1/transit/encrypt/pay", "a/b") == .failure(.tenant))
    #expect(Self.route(.post, "/v1/ACME/encrypt/pay") == .failure(.tenant))
    #expect(Self.route(.post, "/v1/acme/encrypt/Pay") == .failure(.key))
    #expect(Self.route(.post, "/v1/acme/encrypt/p%61y") == .failure(.key))
  }

  @Test("Methods and paths belong together")
  func methods() throws {
    #expect(try Self.route(.list, "/v1/acme/keys").get().endpoint == .listKeys)
    #expect(try Self.route(.list, "/v1/acme/keys/").get().endpoint == .listKeys)
    #expect(try Self.route(.get, "/v1/acme/keys?list=true").get().endpoint == .listKeys)
    #expect(try Self.route(.get, "/v1/acme/keys/pay").get().endpoint == .readKey)
    #expect(try Self.route(.head, "/v1/sys/health?standbyok=true").get().endpoint == .health)
    #expect(try Self.route(.get, "/v1/auth/token/lookup-self").get().endpoint == .lookUpSelf)
    #expect(Self.route(.get, "/v1/acme/encrypt/pay") == .failure(.method(allowed: "POST, PUT")))
    #expect(Self.route(.get, "/v1/acme/keys") == .failure(.method(allowed: "LIST")))
    #expect(Self.route(.post, "/v1/sys/health") == .failure(.method(allowed: "GET, HEAD")))
    #expect(Self.route(.other, "/v1/acme/keys/pay") == .failure(.method(allowed: "GET, POST")))
    for target in [
      "", "/", "*", "/v1", "/v1/", "/v2/acme/encrypt/pay", "v1/acme/encrypt/pay", "http://x/v1/acme/encrypt/pay", "//v1/acme/encrypt/pay",
      "/v1//encrypt/pay", "/v1/acme", "/v1/acme/encrypt", "/v1/acme/encrypt/pay/x", "/v1/acme/nothing/pay", "/v1/acme/keys/pay/x",
      "/v1/acme/keys/pay/rotate/x", "/v1/acme/datakey/other/pay", "/v1/sys/seal", "/v1/acme/../beta/encrypt/pay",
      "/v1/acme/encrypt/" + String(repeating: "a", count: 600),
    ] {
      guard case .failure = Self.route(.post, target) else { Issue.record("\(target)"); continue }
    }
  }
}

@Suite("Bodies in chunks")
struct ChunkedBodyTests {
  /// What a body comes to when it arrives in pieces of `count` bytes.
  static func take(_ text: String, pieces count: Int, max: Int = 100) -> (ChunkedBody.Progress?, [UInt8]) {
    var body = ChunkedBody(countMax: max)
    var (here, rest) = ([UInt8](), Array(text.utf8)[...])
    while !rest.isEmpty {
      here += rest.prefix(count)
      rest = rest.dropFirst(count)
      var span = here.mutableSpan
      let progress = body.advance(&span)
      switch progress {
      case .more(let kept): here.removeLast(here.count - kept)
      case .done(_, let kept):
        here.removeLast(here.count - kept)
        return (progress, here + rest)
      case .malformed, .tooLong: return (progress, [])
      }
    }
    return (nil, here)
  }

  @Test("They are put together however they arrive, and what comes behind them stays")
  func whole() {
    for count in 1...40 {
      let (progress, bytes) = Self.take("3\r\nfoo\r\n0A\r\n0123456789\r\n0\r\n\r\nGET /", pieces: count)
      guard case .done(13, _)? = progress else { Issue.record("\(count): \(String(describing: progress))"); continue }
      #expect(bytes == Array("foo0123456789GET /".utf8), "\(count)")
    }
    #expect(Self.take("0\r\n\r\n", pieces: 9).0 == .done(count: 0, kept: 0))
  }

  @Test("What is no chunk, has extensions or trailers, or is too long is refused")
  func refused() {
    for text in [
      "g\r\n", "\r\n", "3\nfoo", "3 \r\nfoo", "-1\r\n", "0x3\r\nfoo\r\n", "3;a=b\r\nfoo\r\n", "3\r\nfooo\r\n", "3\r\nfoo0\r\n", "000000003\r\nfoo",
      "0\r\nA: b\r\n\r\n", "0\r\n\nx", "3\rxfoo",
    ] {
      for count in [1, 3, 100] { #expect(Self.take(text, pieces: count).0 == .malformed, "\(text)") }
    }
    #expect(Self.take("65\r\n", pieces: 10).0 == .tooLong && Self.take("FFFFFFFF\r\n", pieces: 10).0 == .tooLong)
    #expect(Self.take("64\r\n", pieces: 10).0 == nil, "the control: it may still come")
    #expect(Self.take("3\r\nfo", pieces: 1).0 == nil)
  }
}
