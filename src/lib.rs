pub mod corpus;
pub mod data;
