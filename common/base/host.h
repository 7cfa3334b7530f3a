/* host: names of machines. */
#ifndef PS_BASE_HOST_H
#define PS_BASE_HOST_H

/* The dot at the end of "psd.example." is for the resolver, which takes the name as it is then;
 * certificates and SNI (RFC 6066 section 3) have names without it. Cuts one off. */
void ps_host_drop_dot(char *host);

#endif
