INSERT INTO entry (text) VALUES ('The first page is the hardest');
