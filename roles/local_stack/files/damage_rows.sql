-- What a person with the wrong statement in the wrong window does.
DELETE FROM response_history WHERE user_id % 3 = 0;
UPDATE cases SET title = 'overwritten by mistake' WHERE id % 10 = 0;
DROP TABLE billing.invoices;
