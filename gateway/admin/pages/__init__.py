"""The pages for people: words, figures and one view for each page, drawn by the templates beside."""
