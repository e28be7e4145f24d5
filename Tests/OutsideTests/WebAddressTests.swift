import ChatelaineOutside
import Testing

/// Where a question may go to.
struct WebAddressTests {
  @Test func `Host, port and path are told apart`() throws {
    let address = try WebAddress(parsing: "https://Witness.Example:8443/log/prefix//")
    #expect(address.isSecure && address.host == "witness.example" && address.port == 8443 && address.path == "/log/prefix")
    #expect(address.authority == "witness.example:8443")
    let plain = try WebAddress(parsing: "https://witness.example")
    #expect(plain.port == 443 && plain.path == "" && plain.authority == "witness.example")
    let six = try WebAddress(parsing: "https://[2001:db8::1]:444/")
    #expect(six.host == "2001:db8::1" && six.authority == "[2001:db8::1]:444")
  }

  @Test func `In clear it goes to this machine only`() throws {
    for text in ["http://127.0.0.1:8080", "http://localhost/", "http://[::1]:80/a", "http://127.1.2.3"] {
      #expect(try !WebAddress(parsing: text).isSecure, "\(text)")
    }
    for text in [
      "http://witness.example", "http://10.0.0.1", "http://127.0.0.1.example", "http://localhost.example", "http://1270.0.0.1",
      "http://127.0.0", "http://127.0.0.256",
    ] {
      #expect(throws: WebAddress.Malformed.clear, "\(text)") { try WebAddress(parsing: text) }
    }
  }

  @Test func `Anything else is refused`() {
    for text in [
      "", "witness.example", "ftp://a", "https://", "https:///a", "https://a:0", "https://a:65536", "https://a:b", "https://a/?b",
      "https://a/#b", "https://a b", "https://[::1", "https://a\nb", "https://a%00", "https://é",
    ] {
      #expect(throws: WebAddress.Malformed.form, "\(text)") { try WebAddress(parsing: text) }
    }
    #expect(throws: WebAddress.Malformed.credentials) { try WebAddress(parsing: "https://user:pass@a") }
  }
}
