// The least that an encryption service over HTTP must do: HTTP/1.1 on a Unix socket, JSON, base64, AES-256-GCM with a
// random nonce, HMACs of what a log may not show, one log line a request in the kernel's hands before the reply.
// No fsync, no chain, no policy beyond a token, one key. It is a floor for comparison, and nothing to use.
package main

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

type request struct {
	Plaintext []byte `json:"plaintext"`
	Context   []byte `json:"associated_data"`
}

// What a request borrows and gives back, so that nothing is made twice.
type desk struct {
	nonces *bufio.Reader
	mac    hash.Hash
	body   bytes.Buffer
	sealed []byte
	line   []byte
	sum    []byte
}

type service struct {
	aead  cipher.AEAD
	token string
	log   *os.File
	desks sync.Pool
}

func newService(logPath string) *service {
	key := make([]byte, 32)
	macKey := make([]byte, 32)
	must(rand.Read(key))
	must(rand.Read(macKey))
	block, err := aes.NewCipher(key)
	check(err)
	aead, err := cipher.NewGCM(block)
	check(err)
	file, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(err)
	return &service{aead: aead, token: "floor", log: file, desks: sync.Pool{New: func() any {
		return &desk{nonces: bufio.NewReaderSize(rand.Reader, 4096), mac: hmac.New(sha256.New, macKey)}
	}}}
}

func (s *service) encrypt(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("X-Token") != s.token {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	d := s.desks.Get().(*desk)
	defer s.desks.Put(d)
	d.body.Reset()
	if _, err := d.body.ReadFrom(io.LimitReader(r.Body, 4<<20)); err != nil {
		http.Error(w, "no body", http.StatusBadRequest)
		return
	}
	var in request
	if err := json.Unmarshal(d.body.Bytes(), &in); err != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	nonce := d.sealed[:0]
	if cap(nonce) < 12 {
		nonce = make([]byte, 0, 4096)
	}
	nonce = nonce[:12]
	if _, err := io.ReadFull(d.nonces, nonce); err != nil {
		http.Error(w, "no randomness", http.StatusInternalServerError)
		return
	}
	d.sealed = s.aead.Seal(nonce, nonce, in.Plaintext, in.Context)
	reply := make([]byte, 0, 64+base64.StdEncoding.EncodedLen(len(d.sealed)))
	reply = append(reply, `{"data":{"ciphertext":"v1:`...)
	reply = appendBase64(reply, d.sealed)
	reply = append(reply, "\"}}\n"...)
	if _, err := s.log.Write(d.entry(r, &in, d.sealed, s.token)); err != nil {
		http.Error(w, "no log", http.StatusServiceUnavailable)
		return
	}
	w.Header()["Content-Type"] = jsonType
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(reply))}
	w.Write(reply)
}

var jsonType = []string{"application/json"}

// One line: who, what, when, and the secret fields as HMACs.
func (d *desk) entry(r *http.Request, in *request, sealed []byte, token string) []byte {
	line := append(d.line[:0], `{"time":"`...)
	line = time.Now().UTC().AppendFormat(line, time.RFC3339Nano)
	line = append(line, `","path":"`...)
	line = append(line, r.URL.Path...)
	line = d.field(line, `","token":"`, []byte(token))
	line = d.field(line, `","plaintext":"`, in.Plaintext)
	line = d.field(line, `","associated_data":"`, in.Context)
	line = d.field(line, `","ciphertext":"`, sealed)
	d.line = append(line, "\"}\n"...)
	return d.line
}

func (d *desk) field(line []byte, name string, value []byte) []byte {
	d.mac.Reset()
	d.mac.Write(value)
	d.sum = d.mac.Sum(d.sum[:0])
	line = append(line, name...)
	at := len(line)
	line = append(line, make([]byte, 64)...)
	hex.Encode(line[at:], d.sum)
	return line
}

func appendBase64(to, value []byte) []byte {
	at := len(to)
	to = to[:at+base64.StdEncoding.EncodedLen(len(value))]
	base64.StdEncoding.Encode(to[at:], value)
	return to
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: transit SOCKET LOG")
	}
	service := newService(os.Args[2])
	listener, err := net.Listen("unix", os.Args[1])
	check(err)
	// Whoever started this holds its standard input: where that ends, so does this.
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/transit/encrypt/bench", service.encrypt)
	check(http.Serve(listener, mux))
}

func must(_ int, err error) { check(err) }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
