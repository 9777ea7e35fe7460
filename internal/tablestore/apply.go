package tablestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/entity"
)

// Apply implements [backup.Catalog]. One write is one request, several are one transaction.
//
// When an answer is lost, the SDK sends the request again, and Azure refuses the second: the row is there already, its
// ETag is another one, it is gone. So a refusal is believed only after the first row written was read back: if it
// carries the mark of this call, the writes were made. Deletes leave nothing that could carry a mark: where there are
// only deletes, one that was made but not answered is ErrNotFound to the caller, which is true of the row by then.
func (s *Store) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	mark := s.newID()
	entities, err := entity.Encode(writes, mark)
	if err != nil {
		return nil, fmt.Errorf("write to table %s: %w", s.name, err)
	}
	what := fmt.Sprintf("write %d rows of partition %s of table %s", len(writes), writes[0].Partition, s.name)
	var etags []string
	if len(writes) == 1 {
		what = fmt.Sprintf("%s row %s/%s of table %s", verbs[writes[0].Op], writes[0].Partition, writes[0].Row, s.name)
		etags, err = s.write(ctx, writes[0], entities[0])
	} else {
		etags, err = s.transact(ctx, writes, entities)
	}
	conflict, isRefusal := errors.AsType[*refusal](err)
	if !isRefusal || conflict.Unwrap() == nil {
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		return etags, err
	}
	etags, err = s.readBack(ctx, writes, mark)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; asked because %s", what, err, conflict)
	}
	if etags != nil {
		return etags, nil
	}
	if len(writes) == 1 {
		conflict.index = 0
	}
	if conflict.index < 0 || conflict.index >= len(writes) {
		return nil, fmt.Errorf("%s: %s, without saying which write", what, conflict) // not %w: it is no WriteError
	}
	return nil, fmt.Errorf("%s: %w", what, &backup.WriteError{Index: conflict.index, Err: conflict.Unwrap()})
}

var verbs = map[backup.Op]string{
	backup.Insert: "insert", backup.Replace: "replace", backup.Put: "put", backup.Delete: "delete",
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
				&aztables.UpdateEntityOptions{IfMatch: etagOf(w.ETag), UpdateMode: aztables.UpdateModeReplace})
			etag = string(answer.ETag)
			return err
		case backup.Put:
			answer, err := s.table.UpsertEntity(ctx, body,
				&aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeReplace})
			etag = string(answer.ETag)
			return err
		default:
			_, err := s.table.DeleteEntity(ctx, w.Partition, w.Row, &aztables.DeleteEntityOptions{IfMatch: etagOf(w.ETag)})
			return err
		}
	})
	return []string{etag}, err
}

// transactionTypes: Put becomes InsertReplace, which asks for no ETag and replaces the whole row.
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
			actions[i].IfMatch = etagOf(w.ETag)
		}
	}
	response, err := s.ask(ctx, func(ctx context.Context) error {
		_, err := s.table.SubmitTransaction(ctx, actions, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	text, err := runtime.Payload(response)
	if err != nil {
		return nil, fmt.Errorf("the transaction was made, but its answer cannot be read: %w", err)
	}
	answers, err := parseBatch(text)
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

// readBack returns the ETags of the rows written if the first of them carries the mark, nil if it does not.
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
			// The caller must not be given the ETag of what somebody else wrote, nor be told that nothing was written.
			return nil, fmt.Errorf("the writes were made, but row %s/%s was written again since", w.Partition, w.Row)
		}
		etags[i], made = row.ETag, true
	}
	if !made { // deletes alone
		return nil, nil
	}
	return etags, nil
}
