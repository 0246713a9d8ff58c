package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sort"
	"strings"
	"time"

	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	az "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

const pageSize = 7

// One name: its versions, oldest first.
type entry struct {
	name     string
	versions []az.Secret
}

type vault struct {
	url            string
	alive, deleted map[string]*entry // by name in lower case
}

func newVault(url string) *vault {
	return &vault{url: url, alive: map[string]*entry{}, deleted: map[string]*entry{}}
}

func (e *entry) latest() *az.Secret { return &e.versions[len(e.versions)-1] }

func (e *entry) version(id string) *az.Secret {
	for i := range e.versions {
		if id == "" || e.versions[i].ID.Version() == id {
			if id == "" {
				return e.latest()
			}
			return &e.versions[i]
		}
	}
	return nil
}

func refuse[T any](status int, code string) (r azfake.Responder[T], e azfake.ErrorResponder) {
	e.SetResponseError(status, code)
	return
}

func agree[T any](answer T) (r azfake.Responder[T], e azfake.ErrorResponder) {
	r.SetResponse(http.StatusOK, answer, nil)
	return
}

func now() *time.Time { return to.Ptr(time.Now().Truncate(time.Second)) }

// What a caller sends of the attributes, over what there was.
func merged(was, sent *az.SecretAttributes) *az.SecretAttributes {
	a := *was
	if sent != nil && sent.Enabled != nil {
		a.Enabled = sent.Enabled
	}
	if sent != nil && sent.Expires != nil {
		a.Expires = sent.Expires
	}
	if sent != nil && sent.NotBefore != nil {
		a.NotBefore = sent.NotBefore
	}
	a.Updated = now()
	return &a
}

func (v *vault) set(_ context.Context, name string, p az.SetSecretParameters, _ *az.SetSecretOptions) (azfake.Responder[az.SetSecretResponse], azfake.ErrorResponder) {
	key := strings.ToLower(name)
	if p.Value == nil {
		return refuse[az.SetSecretResponse](http.StatusBadRequest, "BadParameter")
	}
	if v.deleted[key] != nil {
		return refuse[az.SetSecretResponse](http.StatusConflict, "ObjectIsDeletedButRecoverable")
	}
	var random [16]byte
	_, _ = rand.Read(random[:])
	id := az.ID(v.url + "/secrets/" + name + "/" + hex.EncodeToString(random[:]))
	fresh := az.SecretAttributes{Enabled: to.Ptr(true), Created: now(),
		RecoveryLevel: to.Ptr("Recoverable+Purgeable"), RecoverableDays: to.Ptr(int32(90))}
	s := az.Secret{ID: &id, Value: p.Value, ContentType: p.ContentType, Tags: p.Tags,
		Attributes: merged(&fresh, p.SecretAttributes)}
	if v.alive[key] == nil {
		v.alive[key] = &entry{name: name}
	}
	v.alive[key].versions = append(v.alive[key].versions, s)
	return agree(az.SetSecretResponse{Secret: s})
}

// The fake's pattern for names takes NAME/VERSION as one.
func split(name, version string) (string, string) {
	if before, after, found := strings.Cut(name, "/"); found {
		return before, after
	}
	return name, version
}

func (v *vault) get(_ context.Context, name, version string, _ *az.GetSecretOptions) (azfake.Responder[az.GetSecretResponse], azfake.ErrorResponder) {
	name, version = split(name, version)
	e := v.alive[strings.ToLower(name)]
	if e == nil || e.version(version) == nil {
		return refuse[az.GetSecretResponse](http.StatusNotFound, "SecretNotFound")
	}
	s := e.version(version)
	if !*s.Attributes.Enabled {
		return refuse[az.GetSecretResponse](http.StatusForbidden, "SecretDisabled")
	}
	return agree(az.GetSecretResponse{Secret: *s})
}

func (v *vault) update(_ context.Context, name, version string, p az.UpdateSecretPropertiesParameters, _ *az.UpdateSecretPropertiesOptions) (azfake.Responder[az.UpdateSecretPropertiesResponse], azfake.ErrorResponder) {
	name, version = split(name, version)
	e := v.alive[strings.ToLower(name)]
	if e == nil || e.version(version) == nil {
		return refuse[az.UpdateSecretPropertiesResponse](http.StatusNotFound, "SecretNotFound")
	}
	s := e.version(version)
	s.Attributes = merged(s.Attributes, p.SecretAttributes)
	if p.ContentType != nil {
		s.ContentType = p.ContentType
	}
	if p.Tags != nil {
		s.Tags = p.Tags
	}
	seen := *s
	seen.Value = nil
	return agree(az.UpdateSecretPropertiesResponse{Secret: seen})
}

func (v *vault) gone(e *entry) az.DeletedSecret {
	s := e.latest()
	return az.DeletedSecret{ID: s.ID, ContentType: s.ContentType, Tags: s.Tags, Attributes: s.Attributes,
		RecoveryID: to.Ptr(v.url + "/deletedsecrets/" + e.name), DeletedDate: now(),
		ScheduledPurgeDate: to.Ptr(now().AddDate(0, 0, 90))}
}

func (v *vault) delete(_ context.Context, name string, _ *az.DeleteSecretOptions) (azfake.Responder[az.DeleteSecretResponse], azfake.ErrorResponder) {
	key := strings.ToLower(name)
	e := v.alive[key]
	if e == nil {
		return refuse[az.DeleteSecretResponse](http.StatusNotFound, "SecretNotFound")
	}
	delete(v.alive, key)
	v.deleted[key] = e
	return agree(az.DeleteSecretResponse{DeletedSecret: v.gone(e)})
}

func (v *vault) getDeleted(_ context.Context, name string, _ *az.GetDeletedSecretOptions) (azfake.Responder[az.GetDeletedSecretResponse], azfake.ErrorResponder) {
	e := v.deleted[strings.ToLower(name)]
	if e == nil {
		return refuse[az.GetDeletedSecretResponse](http.StatusNotFound, "SecretNotFound")
	}
	return agree(az.GetDeletedSecretResponse{DeletedSecret: v.gone(e)})
}

func (v *vault) recover(_ context.Context, name string, _ *az.RecoverDeletedSecretOptions) (azfake.Responder[az.RecoverDeletedSecretResponse], azfake.ErrorResponder) {
	key := strings.ToLower(name)
	e := v.deleted[key]
	if e == nil {
		return refuse[az.RecoverDeletedSecretResponse](http.StatusNotFound, "SecretNotFound")
	}
	delete(v.deleted, key)
	v.alive[key] = e
	seen := *e.latest()
	seen.Value = nil
	return agree(az.RecoverDeletedSecretResponse{Secret: seen})
}

func (v *vault) purge(_ context.Context, name string, _ *az.PurgeDeletedSecretOptions) (r azfake.Responder[az.PurgeDeletedSecretResponse], e azfake.ErrorResponder) {
	key := strings.ToLower(name)
	if v.deleted[key] == nil {
		return refuse[az.PurgeDeletedSecretResponse](http.StatusNotFound, "SecretNotFound")
	}
	delete(v.deleted, key)
	r.SetResponse(http.StatusNoContent, az.PurgeDeletedSecretResponse{}, nil)
	return
}

func (v *vault) backup(_ context.Context, name string, _ *az.BackupSecretOptions) (azfake.Responder[az.BackupSecretResponse], azfake.ErrorResponder) {
	e := v.alive[strings.ToLower(name)]
	if e == nil {
		return refuse[az.BackupSecretResponse](http.StatusNotFound, "SecretNotFound")
	}
	blob, err := json.Marshal(e.versions)
	if err != nil {
		return refuse[az.BackupSecretResponse](http.StatusInternalServerError, "InternalError")
	}
	return agree(az.BackupSecretResponse{BackupSecretResult: az.BackupSecretResult{Value: blob}})
}

func (v *vault) restore(_ context.Context, p az.RestoreSecretParameters, _ *az.RestoreSecretOptions) (azfake.Responder[az.RestoreSecretResponse], azfake.ErrorResponder) {
	var e entry
	if json.Unmarshal(p.SecretBackup, &e.versions) != nil || len(e.versions) == 0 {
		return refuse[az.RestoreSecretResponse](http.StatusBadRequest, "BadParameter")
	}
	e.name = e.latest().ID.Name()
	key := strings.ToLower(e.name)
	if v.alive[key] != nil || v.deleted[key] != nil {
		return refuse[az.RestoreSecretResponse](http.StatusConflict, "Conflict")
	}
	v.alive[key] = &e
	seen := *e.latest()
	seen.Value = nil
	return agree(az.RestoreSecretResponse{Secret: seen})
}

func properties(s *az.Secret, id az.ID) *az.SecretProperties {
	return &az.SecretProperties{ID: &id, ContentType: s.ContentType, Tags: s.Tags, Attributes: s.Attributes}
}

func (v *vault) sorted(of map[string]*entry) []*entry {
	list := make([]*entry, 0, len(of))
	for _, e := range of {
		list = append(list, e)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list
}

// At least one page, though it be empty.
func pages[T any](all []T, add func([]T)) {
	for len(all) > pageSize {
		add(all[:pageSize])
		all = all[pageSize:]
	}
	add(all)
}

func (v *vault) list(_ *az.ListSecretPropertiesOptions) (r azfake.PagerResponder[az.ListSecretPropertiesResponse]) {
	var all []*az.SecretProperties
	for _, e := range v.sorted(v.alive) {
		all = append(all, properties(e.latest(), az.ID(v.url+"/secrets/"+e.name)))
	}
	pages(all, func(page []*az.SecretProperties) {
		r.AddPage(http.StatusOK, az.ListSecretPropertiesResponse{
			SecretPropertiesListResult: az.SecretPropertiesListResult{Value: page}}, nil)
	})
	return
}

func (v *vault) listVersions(name string, _ *az.ListSecretPropertiesVersionsOptions) (r azfake.PagerResponder[az.ListSecretPropertiesVersionsResponse]) {
	var all []*az.SecretProperties
	if e := v.alive[strings.ToLower(name)]; e != nil {
		for i := range e.versions {
			all = append(all, properties(&e.versions[i], *e.versions[i].ID))
		}
	}
	pages(all, func(page []*az.SecretProperties) {
		r.AddPage(http.StatusOK, az.ListSecretPropertiesVersionsResponse{
			SecretPropertiesListResult: az.SecretPropertiesListResult{Value: page}}, nil)
	})
	return
}

func (v *vault) listDeleted(_ *az.ListDeletedSecretPropertiesOptions) (r azfake.PagerResponder[az.ListDeletedSecretPropertiesResponse]) {
	var all []*az.DeletedSecretProperties
	for _, e := range v.sorted(v.deleted) {
		d := v.gone(e)
		all = append(all, &az.DeletedSecretProperties{ID: to.Ptr(az.ID(v.url + "/secrets/" + e.name)),
			Attributes: d.Attributes, RecoveryID: d.RecoveryID, DeletedDate: d.DeletedDate,
			ScheduledPurgeDate: d.ScheduledPurgeDate})
	}
	pages(all, func(page []*az.DeletedSecretProperties) {
		r.AddPage(http.StatusOK, az.ListDeletedSecretPropertiesResponse{
			DeletedSecretPropertiesListResult: az.DeletedSecretPropertiesListResult{Value: page}}, nil)
	})
	return
}

func (v *vault) server() *fake.Server {
	return &fake.Server{SetSecret: v.set, GetSecret: v.get, UpdateSecretProperties: v.update,
		DeleteSecret: v.delete, GetDeletedSecret: v.getDeleted, RecoverDeletedSecret: v.recover,
		PurgeDeletedSecret: v.purge, BackupSecret: v.backup, RestoreSecret: v.restore,
		NewListSecretPropertiesPager: v.list, NewListSecretPropertiesVersionsPager: v.listVersions,
		NewListDeletedSecretPropertiesPager: v.listDeleted}
}
