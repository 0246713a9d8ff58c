// Cold gets one after the other, by the Azure SDK for Go.
//
//	peer COUNT
//
// The credential has its token already: what is measured are the gets. Prints one sample.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

type credential struct{}

func (credential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "bench-only", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func get(c *azsecrets.Client, i int) {
	name := fmt.Sprintf("key-%05d", i)
	s, err := c.GetSecret(context.Background(), name, "", nil)
	if err != nil {
		log.Fatal(err)
	}
	if s.Value == nil || *s.Value == "" {
		log.Fatalf("%s has no value", name)
	}
}

func main() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	client, err := azsecrets.NewClient(os.Getenv("BENCH_VAULT_URL"), credential{},
		&azsecrets.ClientOptions{DisableChallengeResourceVerification: true})
	if err != nil {
		log.Fatal(err)
	}
	get(client, 0)
	began := time.Now()
	for i := 0; i < count; i++ {
		get(client, i)
	}
	fmt.Printf("peer_go_gets_per_s %.6g\n", float64(count)/time.Since(began).Seconds())
}
