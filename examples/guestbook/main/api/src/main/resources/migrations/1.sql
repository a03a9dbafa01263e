CREATE TABLE entry (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text varchar(200) NOT NULL
);
