package table

import (
	"context"
	"errors"
	"fmt"

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
	var etags []string
	if len(writes) == 1 {
		etags, err = s.write(ctx, writes[0], entities[0])
	} else {
		etags, err = s.transact(ctx, writes, entities)
	}
	if r, ok := errors.AsType[*refusal](err); ok && r.Unwrap() != nil {
		etags, err = s.settle(ctx, writes, mark, r)
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

// settle finds out whether a refusal stands. Where what it says cannot be told for sure, the error wraps none of the
// catalog's own, so that nobody takes the writes for not made.
func (s *Store) settle(ctx context.Context, writes []backup.Write, mark string, r *refusal) ([]string, error) {
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
