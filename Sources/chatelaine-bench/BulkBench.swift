internal import ChatelaineMeasures
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import Foundation

/// AES-256-GCM over 64 KiB against `openssl speed`, which runs between the rounds.
struct BulkBench {
  private static let blockBytes = 65_536
  let rounds: Int
  let operations: Int

  func run(into report: inout Report) throws {
    let aes = try AES256GCM()
    let key = SecretBytes.random(count: 32)
    let plaintext = [UInt8](repeating: 0x61, count: Self.blockBytes)
    let nonce = [UInt8](repeating: 0, count: 12)
    let associated = [UInt8](repeating: 1, count: 13)
    var output = [UInt8](repeating: 0, count: Self.blockBytes + 16)
    var (ours, openssl) = (Series(), Series())
    for _ in 0..<rounds {
      let each = nanosecondsEach(operations) { _ in
        output.withOutput { output in
          key.withBytes { key in
            plaintext.span.withRawSpan { plaintext in
              aes.seal(plaintext, key: key, nonce: nonce.span, authenticating: associated.span, appendingTo: &output)
            }
          }
        }
      }
      ours.add(Double(Self.blockBytes) / each * 1000)
      if let speed = opensslSpeed() { openssl.add(speed) }
    }
    let hasFloor = !openssl.samples.isEmpty
    report.measurements.append(
      Measured(
        "AES-256-GCM 64 KiB", unit: "MB/s", .higher, ours, floor: hasFloor ? .init("openssl speed", openssl) : nil))
    if hasFloor {
      report.aims.append(Aim("AES-256-GCM 64 KiB, of openssl speed", ours.over(openssl), .atLeast, 0.97))
    } else {
      report.skipped.append("openssl speed: no openssl here")
    }
  }

  /// `openssl speed` for one second, in MB/s; nil where there is no openssl.
  private func opensslSpeed() -> Double? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = [
      "speed", "-mr", "-elapsed", "-seconds", "1", "-evp", "aes-256-gcm", "-aead", "-bytes", "\(Self.blockBytes)",
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    // +F:25:AES-256-GCM:4460000000.00
    guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix("+F:") }),
      let last = line.split(separator: ":").last, let bytes = Double(last)
    else { return nil }
    return bytes / 1_000_000
  }
}
