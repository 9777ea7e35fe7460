package table

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/entity"
)

// Apply implements [backup.Catalog]. It makes one write as one request, and several as one transaction.
//
// If a response is lost, the SDK sends the request again, and Azure refuses the repetition: the row is there already, has
// another ETag, or is gone. So Apply believes a refusal only after reading back the first row that it wrote: a row with the
// mark of this call proves that the writes were made. Deletes leave no row for a mark. If all writes are deletes, a delete
// whose response was lost is ErrNotFound to the caller, and by then the row is in fact gone.
func (s *Store) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	mark := s.newID()
	entities, err := entity.Encode(writes, mark)
	if err != nil {
		return nil, fmt.Errorf("write to table %s: %w", s.name, err)
	}
	var etags []string
	if len(writes) == 1 {
		etags, err = s.write(ctx, writes[0], entities[0])
	} else {
		etags, err = s.transact(ctx, writes, entities)
	}
	if r, ok := errors.AsType[*refusal](err); ok && r.Unwrap() != nil {
		etags, err = s.confirm(ctx, writes, mark, r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s of table %s: %w", describe(writes), s.name, err)
	}
	return etags, nil
}

func describe(writes []backup.Write) string {
	first := writes[0]
	if len(writes) > 1 {
		return fmt.Sprintf("write %d rows of partition %s", len(writes), first.Partition)
	}
	verbs := map[backup.Op]string{
		backup.Insert: "insert", backup.Replace: "replace", backup.Put: "put", backup.Delete: "delete",
	}
	return fmt.Sprintf("%s row %s/%s", verbs[first.Op], first.Partition, first.Row)
}

// confirm finds out whether a refusal stands. If it cannot tell, the error wraps none of the catalog's own errors, so that no
// caller concludes that the writes were not made.
func (s *Store) confirm(ctx context.Context, writes []backup.Write, mark string, r *refusal) ([]string, error) {
	if len(writes) == 1 {
		r.index = 0 // Azure names none
	}
	etags, err := s.readBack(ctx, writes, mark)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w (after the %s)", err, r.Error())
	case etags != nil:
		return etags, nil
	case r.index < 0 || r.index >= len(writes):
		return nil, errors.New("no write is named in the " + r.Error())
	}
	return nil, &backup.WriteError{Index: r.index, Err: r.Unwrap()}
}

// write makes a single write.
func (s *Store) write(ctx context.Context, w backup.Write, body []byte) ([]string, error) {
	var etag string
	_, err := s.ask(ctx, func(ctx context.Context) error {
		switch w.Op {
		case backup.Insert:
			answer, err := s.table.AddEntity(ctx, body, nil)
			etag = string(answer.ETag)
			return err
		case backup.Replace:
			answer, err := s.table.UpdateEntity(ctx, body,
				&aztables.UpdateEntityOptions{IfMatch: to.Ptr(azcore.ETag(w.ETag)), UpdateMode: aztables.UpdateModeReplace})
			etag = string(answer.ETag)
			return err
		case backup.Put:
			answer, err := s.table.UpsertEntity(ctx, body,
				&aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeReplace})
			etag = string(answer.ETag)
			return err
		default:
			_, err := s.table.DeleteEntity(ctx, w.Partition, w.Row, &aztables.DeleteEntityOptions{IfMatch: to.Ptr(azcore.ETag(w.ETag))})
			return err
		}
	})
	return []string{etag}, err
}

// transactionTypes maps operations to Azure's. Put becomes InsertReplace: it requires no ETag and replaces the whole row.
var transactionTypes = map[backup.Op]aztables.TransactionType{
	backup.Insert:  aztables.TransactionTypeAdd,
	backup.Replace: aztables.TransactionTypeUpdateReplace,
	backup.Put:     aztables.TransactionTypeInsertReplace,
	backup.Delete:  aztables.TransactionTypeDelete,
}

// transact makes several writes at once.
func (s *Store) transact(ctx context.Context, writes []backup.Write, entities [][]byte) ([]string, error) {
	actions := make([]aztables.TransactionAction, len(writes))
	for i, w := range writes {
		actions[i] = aztables.TransactionAction{ActionType: transactionTypes[w.Op], Entity: entities[i]}
		if w.Op == backup.Replace || w.Op == backup.Delete {
			actions[i].IfMatch = to.Ptr(azcore.ETag(w.ETag))
		}
	}
	reply, err := s.ask(ctx, func(ctx context.Context) error {
		_, err := s.table.SubmitTransaction(ctx, actions, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	answers, err := parseBatch(reply.body)
	if err == nil && len(answers) != len(writes) {
		err = fmt.Errorf("%d answers to %d writes", len(answers), len(writes))
	}
	if err != nil {
		return nil, fmt.Errorf("the transaction was made, but its answer cannot be read: %w", err)
	}
	etags := make([]string, len(writes))
	for i, w := range writes {
		if w.Op == backup.Delete {
			continue
		}
		if etags[i] = answers[i].etag; etags[i] == "" {
			return nil, fmt.Errorf("the transaction was made, but write %d came without an ETag", i)
		}
	}
	return etags, nil
}

// readBack returns the ETags of the rows of the writes if the first row carries the mark, and nil otherwise.
func (s *Store) readBack(ctx context.Context, writes []backup.Write, mark string) ([]string, error) {
	etags, made := make([]string, len(writes)), false
	for i, w := range writes {
		if w.Op == backup.Delete {
			continue
		}
		row, writer, _, err := s.get(ctx, w.Key)
		mine := err == nil && writer == mark
		switch {
		case err != nil && !errors.Is(err, backup.ErrNotFound):
			return nil, fmt.Errorf("read row %s/%s back: %w", w.Partition, w.Row, err)
		case !mine && !made:
			return nil, nil
		case !mine:
			// The caller must neither get the ETag of another writer's row, nor an error that says that nothing was written.
			return nil, fmt.Errorf("the writes were made, but row %s/%s was written again since", w.Partition, w.Row)
		}
		etags[i], made = row.ETag, true
	}
	if !made { // deletes alone
		return nil, nil
	}
	return etags, nil
}
