mod budget;
mod share;
mod window;
