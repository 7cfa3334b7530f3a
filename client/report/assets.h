/* assets: what every report carries with it: files of this folder, embedded at build
 * (proto/embed.py). Constant. */
#ifndef PS_REPORT_ASSETS_H
#define PS_REPORT_ASSETS_H

/* Of the page; and of figures, which stand-alone SVG has as well. */
extern const unsigned char ps_report_css[], ps_figure_css[];
extern const unsigned long ps_report_css_size, ps_figure_css_size;

/* The page's one script, and its SHA-256 in base64, by which the page's policy lets it run. */
extern const unsigned char ps_report_js[];
extern const unsigned long ps_report_js_size;
extern const char ps_report_js_sha256[];

#endif
