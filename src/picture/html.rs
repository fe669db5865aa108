//! A picture as one offline page: the SVG in a frame that scrolls by mouse, finger and keys.

use crate::picture::svg::escaped;
use crate::picture::{Picture, svg};

pub fn print(picture: &Picture) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>html,body{{height:100%;margin:0}}main{{height:100%;overflow:auto}}svg{{display:block}}</style>\n\
         </head>\n<body>\n<main tabindex=\"0\" aria-label=\"{0}\">\n{}</main>\n</body>\n</html>\n",
        escaped(&picture.title),
        svg::print(picture)
    )
}
