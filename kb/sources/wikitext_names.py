"""What Wikipedias call things, each in its language: namespaces, sections without prose, templates that mark a page.

A dump's head names its namespaces, but not the other names that MediaWiki takes for them. Knows nothing of wikitext.
"""

from __future__ import annotations

# MediaWiki's names of the namespaces File and Category, and its other names for them, in the languages of the larger
# Wikipedias; all of them anywhere, since articles are translated with their links.
FILE_WORDS = frozenset(
    """file|image|media|datei|bild|fichier|archivo|imagen|immagine|bestand|afbeelding|ficheiro|imagem|arquivo
    |файл|изображение|plik|grafika|ファイル|画像|文件|檔案|档案|图像|圖像|图片|圖片|ملف|صورة|پرونده|تصویر|קובץ|תמונה|चित्र|চিত্র
    |파일|그림|tập tin|hình|ไฟล์|ภาพ|berkas|gambar|dosya|resim|soubor|obrázok|súbor|fájl|kép|fil|billede|bilde
    |bilete|tiedosto|kuva|pilt|fail|fails|attēls|vaizdas|fișier|fişier|imagine|картинка|зображення|выява
    |датотека|слика|datoteka|slika|податотека|αρχείο|εικόνα|fitxer|imatge|fitxategi|irudi|imaxe|imachen|lêer
    |beeld|restr|skeudenn|delwedd|dosiero|arkivo|imajo|mynd|fíla|íomhá|dataja|wobraz|պատկեր|ფაილი|სურათი
    |сурет|сүрөт|зураг|акс|рәсем|fayl|şəkil|tasvir|wêne|پەڕگە|fasciculus|imago|plaetje|plaatje|ofbyld|fiùra
    |immàggene|fichièr|figura|rikcha|mmàggini|skeda|picha|faili|படிமம்|படம்|దస్త్రం|బొమ్మ|പ്രമാണം|ചിത്രം
    |රූපය|ਤਸਵੀਰ|talaksan|paypay|ragiv|טעקע|בילד|imej""".replace("\n", "").replace("    ", "").split("|")
)
CATEGORY_WORDS = frozenset(
    """category|kategorie|catégorie|categoría|categoria|categorie|категория|kategoria|カテゴリ|分类|分類|تصنيف|رده
    |קטגוריה|श्रेणी|वर्ग|বিষয়শ্রেণী|분류|thể loại|หมวดหมู่|kategori|kategória|kategooria|kategorija|kategorio
    |kategorya|luokka|flokkur|bólkur|категорія|катэгорыя|категорија|санат|төркем|ангилал|гурӯҳ|κατηγορία
    |կատեգորիա|კატეგორია|kateqoriya|turkum|catagóir|categorîa|rummad|catigurìa|kawan|زمرہ|پۆل|பகுப்பு|వర్గం
    |വർഗ്ഗം|jamii|kategoriya|kategoriija|kategorîya
    |categurìa|clàssi|caegory|kaarangay""".replace("\n", "").replace("    ", "").split("|")
)

# Sections that hold no prose of the article: en, de, fr, es, it, nl, pt, ru, pl, ja, zh, sv, no and da, fi, cs, hu, tr,
# uk, ko, ca, vi, id, ar, fa; with the language where the name is prose in another, as the source of a river is.
DROPPED_SECTIONS = frozenset(
    """see also|references|external links|further reading|notes|notes and references|footnotes|sources|bibliography
    |citations|works cited|references and notes
    |siehe auch|einzelnachweise|weblinks|literatur|anmerkungen|quellen|fußnoten|belege
    |voir aussi|références|notes et références|liens externes|bibliographie|articles connexes|fr:annexes|lien externe
    |notes|fr:source
    |véase también|referencias|enlaces externos|bibliografía|notas|notas y referencias|lecturas adicionales|fuentes
    |voci correlate|collegamenti esterni|bibliografia|altri progetti|note|fonti
    |zie ook|externe links|externe link|bronnen|literatuur|referenties|nl:noten|bronnen, noten en/of referenties
    |voetnoten
    |ver também|referências|ligações externas|leitura adicional|notas e referências|fontes
    |см. также|примечания|ссылки|литература|источники|комментарии
    |zobacz też|przypisy|linki zewnętrzne|uwagi
    |関連項目|脚注|外部リンク|参考文献|出典|注釈|関連文献
    |参见|參見|参考文献|參考文獻|外部链接|外部連結|外部鏈接|参考资料|參考資料|注释|註釋|延伸阅读|延伸閱讀|参考來源
    |脚注|相关条目|相關條目|備註|备注
    |se även|referenser|källor|noter|fotnoter|externa länkar
    |se også|referanser|referencer|kilder|eksterne lenker|eksterne henvisninger|eksterne links|litteratur
    |katso myös|lähteet|viitteet|aiheesta muualla|kirjallisuutta
    |související články|reference|poznámky|externí odkazy|cs:literatura|pl:literatura
    |kapcsolódó szócikkek|jegyzetek|források|további információk|irodalom
    |ayrıca bakınız|kaynakça|dış bağlantılar|notlar
    |див. також|примітки|посилання|література|джерела
    |같이 보기|각주|외부 링크|참고 문헌|참고문헌|주석
    |vegeu també|referències|enllaços externs|bibliografia complementària
    |xem thêm|tham khảo|chú thích|liên kết ngoài
    |lihat pula|referensi|pranala luar|catatan kaki|daftar pustaka
    |انظر أيضا|انظر أيضًا|مراجع|المراجع|وصلات خارجية|هوامش
    |جستارهای وابسته|پانویس|منابع|پیوند به بیرون""".replace("\n", "").replace("    ", "").split("|")
)

# Names of templates, in the order of those languages and some more; with the language where the name is common.
DISAMBIGUATION = frozenset(
    """disambiguation|disambig|dab|hndis|geodis|letter-numbercombdisambig|mathdab|numberdis|roaddis|schooldis|shipindex
    |begriffsklärung|homonymie|toponymie|paronymie|desambiguación|desambiguacion|es:des|disambigua|doorverwijspagina
    |nl:dp|desambiguação|неоднозначность|многозначность|ujednoznacznienie|aimai|曖昧さ回避|消歧义|消歧義|消歧义页|消歧義頁
    |消歧义頁|förgrening|betydelselista|peker|fleirtyding|flertydig|täsmennyssivu|rozcestník|rozlišovacia stránka|egyért
    |anlam ayrımı|неоднозначність|багатозначність|동음이의|동음이의어|desambiguació|trang định hướng|định hướng
    |disambiguasi|nyahkekaburan|توضيح|صفحة توضيح|ابهام\u200cزدایی|ابهام زدایی|פירושונים|αποσαφήνιση|dezambiguizare
    |пояснение|вишезначна одредница|višeznačna odrednica|razdvojba|razločitev|täpsustuslehekülg|argipen|homónimos
    |apartigilo|แก้กำกวม|बहुविकल्पी|बहुविकल्पी शब्द|দ্ব্যর্থতা নিরসন""".replace("\n", "").replace("    ", "").split("|")
)
