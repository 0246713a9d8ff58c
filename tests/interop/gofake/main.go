// gofake - a Key Vault whose protocol is Microsoft's own: the server half that the Azure
// SDK for Go carries for its users' tests (azsecrets/fake), generated from the service's
// API description. It takes our requests apart (paths, JSON, times, base64) and puts the
// answers together; vault.go keeps what they are about. That half knows no HTTP server,
// no routes and no tokens, so this file adds them.
//
//	gofake CERTIFICATE.pem KEY.pem
//
// Serves https://localhost:PORT, prints PORT, and asks for tokens whose audience is Key
// Vault's, from whoever the client trusts; their signature is not checked. Only for
// scripts/interop.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

// Which operation a request is: the SDK's client would have said so itself.
var routes = []struct {
	method    string
	path      *regexp.Regexp
	operation string
}{
	{"GET", regexp.MustCompile(`^/secrets(/fake_page_\d+)?$`), "NewListSecretPropertiesPager"},
	{"GET", regexp.MustCompile(`^/secrets/[^/]+/versions(/fake_page_\d+)?$`), "NewListSecretPropertiesVersionsPager"},
	{"GET", regexp.MustCompile(`^/deletedsecrets(/fake_page_\d+)?$`), "NewListDeletedSecretPropertiesPager"},
	{"POST", regexp.MustCompile(`^/secrets/restore$`), "RestoreSecret"},
	{"POST", regexp.MustCompile(`^/secrets/[^/]+/backup$`), "BackupSecret"},
	{"GET", regexp.MustCompile(`^/secrets/[^/]+(/[^/]*)?$`), "GetSecret"},
	{"PUT", regexp.MustCompile(`^/secrets/[^/]+$`), "SetSecret"},
	{"PATCH", regexp.MustCompile(`^/secrets/[^/]+(/[^/]*)?$`), "UpdateSecretProperties"},
	{"DELETE", regexp.MustCompile(`^/secrets/[^/]+$`), "DeleteSecret"},
	{"GET", regexp.MustCompile(`^/deletedsecrets/[^/]+$`), "GetDeletedSecret"},
	{"POST", regexp.MustCompile(`^/deletedsecrets/[^/]+/recover$`), "RecoverDeletedSecret"},
	{"DELETE", regexp.MustCompile(`^/deletedsecrets/[^/]+$`), "PurgeDeletedSecret"},
}

func operation(r *http.Request) string {
	for _, route := range routes {
		if r.Method == route.method && route.path.MatchString(r.URL.EscapedPath()) {
			return "Client." + route.operation
		}
	}
	return ""
}

// The payload of a JWT that is for Key Vault and still good.
func isGoodToken(header string) bool {
	parts := strings.Split(strings.TrimPrefix(header, "Bearer "), ".")
	if !strings.HasPrefix(header, "Bearer ") || len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Aud string `json:"aud"`
		Exp int64  `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return false
	}
	return claims.Aud == "https://vault.azure.net" && claims.Exp > time.Now().Unix()
}

// The service's shape of an error; the fake names only the code.
func fail(w http.ResponseWriter, status int, code, message string) {
	outer, inner := code, ""
	if status == http.StatusForbidden || status == http.StatusConflict {
		outer, inner = http.StatusText(status), fmt.Sprintf(`,"innererror":{"code":%q}`, code)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%q,"message":%q%s}}`, outer, message, inner)
}

type handler struct {
	mu    sync.Mutex // one request at a time: so the fake's pages stay in order
	fake  *fake.ServerTransport
	vault *vault
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := operation(r)
	switch {
	case !isGoodToken(r.Header.Get("Authorization")):
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(
			`Bearer authorization="%s", resource="https://vault.azure.net"`, os.Getenv("GOFAKE_AUTHORITY")))
		fail(w, http.StatusUnauthorized, "Unauthorized", "[BearerReadAccessTokenFailed]")
		return
	case name == "":
		fail(w, http.StatusNotFound, "NotFound", r.Method+" "+r.URL.Path)
		return
	case r.URL.Query().Get("api-version") == "":
		fail(w, http.StatusBadRequest, "BadParameter", "api-version is missing")
		return
	}
	h.answer(w, r, name)
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request, name string) {
	ctx := context.WithValue(r.Context(), runtime.CtxAPINameKey{}, name)
	request := r.Clone(ctx)
	request.URL.Scheme, request.URL.Host = "https", r.Host
	response, err := h.fake.Do(request)
	var known *azcore.ResponseError
	if errors.As(err, &known) {
		fail(w, known.StatusCode, known.ErrorCode, "refused")
		return
	}
	if err != nil { // the request is not what the API description says
		fail(w, http.StatusBadRequest, "BadParameter", err.Error())
		return
	}
	defer response.Body.Close()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(response.StatusCode)
	if _, err := io.Copy(w, response.Body); err != nil {
		log.Print(err)
	}
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: gofake CERTIFICATE.pem KEY.pem")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	v := newVault(fmt.Sprintf("https://localhost:%d", port))
	fmt.Println(port)
	h := &handler{fake: fake.NewServerTransport(v.server()), vault: v}
	log.Fatal(http.ServeTLS(listener, h, os.Args[1], os.Args[2]))
}
