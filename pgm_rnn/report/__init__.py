"""From stored results to the pages and figures that people look at; nothing is trained here."""




