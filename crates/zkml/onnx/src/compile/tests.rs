//! Float graphs built by hand, their integer models, and how far these are apart.

mod bounds;
mod economy;
mod models;
mod recipes;
mod world;
