internal import CLinux

/// A path as one line of a terminal: bytes outside printable ASCII, and backslash, as \xNN.
package func printable(_ text: String) -> String {
  var line = ""
  for byte in text.utf8 {
    switch byte {
    case UInt8(ascii: "\\"), 0..<0x20, 0x7f...:
      line += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    default: line.unicodeScalars.append(Unicode.Scalar(byte))
    }
  }
  return line
}

func octal(_ mode: UInt32) -> String {
  let digits = String(mode, radix: 8)
  return String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
}

/// What strerror(3) says.
package func systemText(_ number: Int32) -> String { unsafe String(cString: ch_error_text(number)) }
