// Package table keeps the catalog in Azure Table Storage.
package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/entity"
)

// Store is a [backup.Catalog] in one table. It creates a missing table. Its methods may be called from any goroutine.
type Store struct {
	table *aztables.Client
	name  string
	newID func() string
}

// New returns a store in the table of that name, 3 to 63 letters and digits. The client may repeat a request whose response
// was lost: newID gives every call of Apply its own mark, so that the call recognizes its writes.
func New(client *aztables.ServiceClient, table string, newID func() string) *Store {
	return &Store{table: client.NewClient(table), name: table, newID: newID}
}

// Get implements [backup.Catalog].
func (s *Store) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	if err := entity.CheckKey(key); err != nil {
		return backup.Row{}, time.Time{}, fmt.Errorf("get a row of table %s: %w", s.name, err)
	}
	row, _, clock, err := s.get(ctx, key)
	if err != nil {
		err = fmt.Errorf("get row %s/%s of table %s: %w", key.Partition, key.Row, s.name, err)
	}
	return row, clock, err
}

// get returns the row and the mark of its writer.
func (s *Store) get(ctx context.Context, key backup.Key) (row backup.Row, writer string, clock time.Time, err error) {
	var answer aztables.GetEntityResponse
	reply, err := s.ask(ctx, func(ctx context.Context) (err error) {
		answer, err = s.table.GetEntity(ctx, key.Partition, key.Row, nil)
		return err
	})
	if err == nil {
		row, writer, err = entity.Decode(answer.Value)
		row.ETag = string(answer.ETag)
	}
	if err == nil || errors.Is(err, backup.ErrNotFound) {
		var noClock error
		if clock, noClock = reply.date(); noClock != nil {
			err = noClock
		}
	}
	return row, writer, clock, err
}

// List implements [backup.Catalog].
func (s *Store) List(
	ctx context.Context, partition, from, to string, limit int,
) (rows []backup.Row, clock time.Time, err error) {
	err = s.pages(ctx, partition, from, to, limit, nil, func(entities [][]byte, reply reply) (n int, err error) {
		if clock.IsZero() { // the first page's clock: no row that was read is older
			if clock, err = reply.date(); err != nil {
				return 0, err
			}
		}
		rows, err = appendRows(rows, entities)
		return len(rows), err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return rows[:min(len(rows), limit)], clock, nil
}

// Count implements [backup.Catalog].
func (s *Store) Count(ctx context.Context, partition, from, to string, limit int) (n int, err error) {
	err = s.pages(ctx, partition, from, to, limit, &rowKey, func(entities [][]byte, _ reply) (int, error) {
		n += len(entities)
		return n, nil
	})
	return min(n, limit), err
}

// rowKey is the column that a count reads.
var rowKey = "RowKey"

// pages calls got with each page of the rows until that has limit of them. Columns are those that the rows have then; nil: all.
func (s *Store) pages(
	ctx context.Context, partition, from, to string, limit int, columns *string, got func(entities [][]byte, reply reply) (n int, err error),
) error {
	if err := entity.CheckList(partition, from, to, limit); err != nil {
		return fmt.Errorf("list table %s: %w", s.name, err)
	}
	// Keys contain no quotes, and no other character has a meaning in an OData string.
	filter := fmt.Sprintf("PartitionKey eq '%s' and RowKey ge '%s' and RowKey lt '%s'", partition, from, to)
	top := int32(limit)
	options := &aztables.ListEntitiesOptions{Filter: &filter, Top: &top, Select: columns}
	for n, more := 0, true; more && n < limit; { // Azure may end a page early, with less than it was asked for
		var page aztables.ListEntitiesResponse
		reply, err := s.ask(ctx, func(ctx context.Context) (err error) {
			page, err = s.table.NewListEntitiesPager(options).NextPage(ctx) // a pager that failed once always fails
			return err
		})
		if err == nil {
			n, err = got(page.Entities, reply)
		}
		if err != nil {
			what := fmt.Sprintf("list partition %s of table %s from %q to %q", partition, s.name, from, to)
			return fmt.Errorf("%s: %w", what, err)
		}
		options.NextPartitionKey, options.NextRowKey = page.NextPartitionKey, page.NextRowKey
		more = page.NextPartitionKey != nil
	}
	return nil
}

func appendRows(rows []backup.Row, entities [][]byte) ([]backup.Row, error) {
	for _, e := range entities {
		row, _, err := entity.Decode(e)
		switch {
		case errors.Is(err, backup.ErrUnreadable):
			row.Err, row.Body = err, nil
		case err != nil:
			return nil, err
		}
		if row.ETag == "" {
			return nil, fmt.Errorf("row %s/%s came without an ETag", row.Partition, row.Row)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// reply is the part of a response that the SDK does not return. It is empty if there was no response.
type reply struct {
	header http.Header
	body   []byte
}

// ask makes a request. If the table is missing, ask creates it and repeats the request. It returns the last reply, even if
// that was a refusal.
func (s *Store) ask(ctx context.Context, request func(context.Context) error) (reply, error) {
	var response *http.Response
	captured := policy.WithCaptureResponse(ctx, &response)
	err := asRefusal(request(captured))
	if codeOf(err) == aztables.TableNotFound {
		if err := s.create(ctx); err != nil {
			return reply{}, err
		}
		err = asRefusal(request(captured))
	}
	if response == nil {
		return reply{}, err
	}
	body, unread := runtime.Payload(response) // the SDK has read it, and keeps it
	return reply{response.Header, body}, cmp.Or(err, unread)
}

func (s *Store) create(ctx context.Context) error {
	_, err := s.table.CreateTable(ctx, nil)
	if err = asRefusal(err); err != nil && codeOf(err) != aztables.TableAlreadyExists {
		return fmt.Errorf("create the table: %w", err)
	}
	return nil
}

// date returns the store's clock: the time at which it answered, in whole seconds, rounded down (RFC 9110, section 6.6.1).
func (r reply) date() (time.Time, error) {
	t, err := http.ParseTime(r.header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the store's answer has no clock: %w", err)
	}
	return t.UTC(), nil
}
